"""What a wrong configuration or catalog shows before anything runs."""
import os
import shutil

from bench import expect

CONFIG_ERROR = 78  # EX_CONFIG


def check(bench, program, config):
    code, out, err = bench.stack.command(program, 'check', '--config', config)
    shown = (err or out).strip()
    if code != CONFIG_ERROR:
        expect('exit code %d: %s' % (code, shown), 'exit code 78')
    return shown, 'exit code 78 `%s`' % shown


def spoiled(path, old, new):
    """A copy of a file beside it, with one text replaced; returns (path, line of the change)."""
    with open(path) as file:
        text = file.read()
    if old not in text:
        raise ValueError('%r is not in %s' % (old, path))
    copy = os.path.join(os.path.dirname(path), 'spoiled.toml')
    with open(copy, 'w') as file:
        file.write(text.replace(old, new, 1))
    return copy, text[:text.index(old)].count('\n') + 1


def agent_typo(bench):
    config, line = spoiled(bench.stack.agent_config('app-1'), 'lateness', 'latenes')
    shown, row = check(bench, bench.stack.agent_program, config)
    expect(shown, r'spoiled\.toml:%d:1: unknown key "latenes"; did you mean "lateness"\?' % line)
    return [('`latenes = "1s"` in `[heartbeat]`, then `ledgerline-agent check`', row)]


def collector_typo(bench):
    config, line = spoiled(bench.stack.collector_config, 'acl_file', 'acl_fiel')
    shown, row = check(bench, bench.stack.collector_program, config)
    expect(shown, r'spoiled\.toml:%d:1: unknown key "acl_fiel"; did you mean "acl_file"\?' % line)
    return [('`acl_fiel` in `[broker]`, then `ledgerline-collector check`', row)]


def with_catalog(bench, old, new):
    """`check` of a collector whose catalog has one text replaced."""
    folder = bench.stack.path('spoiled-catalog')
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(bench.stack.path('catalog.d'), folder)
    path, line = spoiled(os.path.join(folder, 'demo.toml'), old, new)
    os.replace(path, os.path.join(folder, 'demo.toml'))
    config, _ = spoiled(bench.stack.collector_config, bench.stack.path('catalog.d'), folder)
    shown, row = check(bench, bench.stack.collector_program, config)
    return shown, row, line


def unquoted_price(bench):
    shown, row, line = with_catalog(bench, 'unit_price = "0.0035"', 'unit_price = 0.0035')
    expect(shown, r'demo\.toml:%d:\d+: prices and quantities are quoted: unit_price = "0\.35"' % line)
    return [('`unit_price = 0.0035` in a rate card', row)]


def unknown_rate_card(bench):
    shown, row, line = with_catalog(bench, 'rate_card = "api-volume"', 'rate_card = "api-volum"')
    expect(shown, r'demo\.toml:%d:\d+: .*did you mean "api-volume"\?' % line)
    return [('`rate_card = "api-volum"` in a subscription', row)]


CASES = [
    ('typo in the agent\'s configuration', agent_typo),
    ('typo in the collector\'s configuration', collector_typo),
    ('unquoted price', unquoted_price),
    ('name of the catalog misspelt', unknown_rate_card),
]
