"""The cases in their order: each begins where the one before ended. (name, function giving lost, named, asked)."""
import os
import shutil
import time

from desk import Unexpected
from recovery_plant import GO, PERIOD_S, STOP

# While a journal pushes back its app keeps the events' times, and what comes late is billed hours after.
LATENESS_S = 15
BATCH_PER_READING = {'readings_max': 1, 'age_max': '1s', 'lateness': '%ds' % LATENESS_S}
ORDINARY = {'quota': '64MiB', 'readings_max': 100, 'age_max': '1s'}
DEVICES = {
    'keep': {'quota': '64MiB', **BATCH_PER_READING},  # all of them kept
    'small': {'quota': '1MiB', **BATCH_PER_READING},  # forgets what has a receipt
    'back': ORDINARY,
    'clone': ORDINARY,
    'wiped': {'quota': '64MiB', 'readings_max': 1000, 'age_max': '20s'},  # a heartbeat says more than is sent
}


def expect(what, found, wanted):
    if found != wanted:
        raise Unexpected('%s: %s, not %s' % (what, found, wanted))


def rollback(plant):
    plant.run_agent('back')
    plant.send('back', 20)
    plant.drained('back')
    plant.stop_agent('back')
    plant.copy(plant.home('back'), plant.home('back') + '.image')
    plant.run_agent('back')
    plant.send('back', 30)
    plant.drained('back')
    plant.stop_agent('back')
    held = plant.stream('back')
    plant.copy(plant.home('back') + '.image', plant.home('back'))
    plant.run_agent('back')
    row = plant.exception('rollback', device='back')
    plant.until('the agent takes no more', lambda: plant.stack.agent_status('back')['uplink']['undeliverable'])
    expect('what the collector holds', plant.stream('back')['linked_upto'], held['linked_upto'])
    expect('readings there', plant.stream('back')['readings'], 50)
    asked = plant.asked(row)
    plant.stop_agent('back')
    return 'nothing of the 50 readings sent', row['detail'], asked


def clone(plant):
    plant.run_agent('clone')
    plant.send('clone', 20)
    plant.drained('clone')
    plant.stop_agent('clone')
    plant.copy(plant.home('clone'), plant.home('clone') + '2')
    plant.run_agent('clone')
    plant.send('clone', 5)
    plant.drained('clone')
    plant.stop_agent('clone')
    # The copy records more than the real one did, and meets the broker only then.
    plant.stack.kill('broker')
    plant.stack.call('wait_until', 5, 'process_gone', 'broker')
    plant.run_agent('clone2')
    for _ in range(4):
        plant.send('clone', 2, home='clone2')
        time.sleep(1.5)
    plant.stack.start('broker')
    row = plant.exception('fork', device='clone')
    asked = plant.asked(row)
    plant.stop_agent('clone2')
    return 'nothing: both branches are kept, the first one counts', row['detail'], asked


def wiped(plant):
    plant.run_agent('wiped')
    plant.send('wiped', 20)
    plant.drained('wiped')
    plant.send('wiped', 7)
    time.sleep(4)  # four heartbeats tell of them; their batch waits for more
    plant.kill_agent('wiped')
    shutil.rmtree(plant.home('wiped') + '/state')
    config, request = plant.home('wiped') + '/agent.toml', plant.home('wiped') + '/again.pem'
    agent, collector = plant.stack.agent_program, plant.stack.collector_program
    for command in ((agent, 'enroll', '--config', config, '--out', request, '--reason', 'disk replaced'),
                    (collector, 'enroll', '--config', plant.stack.collector_config, request, '--replace', '--reason',
                     'disk replaced', '--out', request + '.answer'),
                    (agent, 'enroll', '--config', config, '--answer', request + '.answer')):
        code, out, err = plant.stack.command(*command)
        expect('%s: %s' % (' '.join(command), out + err), code, 0)
    row = plant.exception('stream_replaced', device='wiped', meter='')
    expect('readings that never came', row['count'], 7)
    expect('their quantity', plant.named_quantity('wiped', 'stream_replaced'), 7)
    return '7 readings that were recorded and not sent', row['detail'], plant.asked(row)


def older_copy(plant):
    """What came after the copy is lost here: a part of it is billed already, a part is not."""
    for name in ('keep', 'small'):
        plant.run_agent(name)
        plant.send(name, 400)
        plant.drained(name)
    plant.stop_collector()
    plant.copy(plant.store(), plant.store() + '.copy')
    plant.stack.start('collector')
    plant.send('keep', 2000)
    plant.send('small', 4000)
    for name in ('keep', 'small'):
        plant.drained(name)
        plant.until(name + ' is billed', lambda: plant.billed_quantity(name) == plant.sent[name])
    billed = {name: plant.in_erp(name) for name in ('keep', 'small')}
    for name in ('keep', 'small'):
        plant.send(name, 100)
        plant.drained(name)
    seen = plant.agent_log('keep')
    expect('the epoch before', seen['epoch'], 1)
    plant.kill_collector()
    shutil.rmtree(plant.store())
    plant.copy(plant.store() + '.copy', plant.store())
    os.unlink(plant.checkpoint_file())  # as if all of the state folder had been put back
    plant.stack.start('collector')
    plant.until('RECOVERY', lambda: (plant.stream('keep') or {}).get('status') == 'recovering')
    plant.signal_agent('keep', STOP)
    row, epoch = plant.exception('recovery', device='keep'), plant.exception('new_epoch')
    asked, health = plant.asked(row), plant.until('RECOVERY in /healthz', lambda: (
        'RECOVERY' in plant.health() and plant.health()))
    expect('/healthz says that nothing is rated', 'nothing is rated' in health, True)
    plant.signal_agent('keep', GO)
    pace = sent_again(plant, row)
    lost = plant.until('what small forgot is named', lambda: plant.named_quantity('small', 'lost_batches'))
    plant.until('all of small is folded or named', lambda: (
        plant.stream('small')['readings'] == plant.sent['small']))
    expect('documents made before anybody looked', made_over_a_period(plant), [])
    expect('rating is halted', plant.status()['rating_halted'], True)
    log = plant.agent_log('keep')
    expect('the epoch that keep holds', log['epoch'], 2)
    expect('keep holds evidence back', log['contradicts_itself'], False)
    expect('what keep held before', log['earlier'], [seen['checkpoint']])
    named, epoch_asked = plant.exception('lost_batches', device='small', meter='requests'), plant.asked(epoch)
    plant.do(epoch, 'recover', 'catalog, operators and documents looked at')
    plant.resolved(epoch)
    expect('rating is halted', plant.status()['rating_halted'], False)
    plant.until('keep is billed whole', lambda: plant.billed_quantity('keep') == plant.sent['keep'])
    in_conflict = plant.until('documents of small are confirmed or in conflict', lambda: plant.compared('small'))
    for name, documents in billed.items():
        there = plant.in_erp(name)
        expect('what the ERP held of ' + name, {id: there.get(id) for id in documents}, documents)
    in_erp = sum(plant.in_erp('small').values())
    if not plant.sent['small'] - lost <= in_erp <= plant.sent['small']:
        raise Unexpected('small: %d in the ERP, %d named, %d sent' % (in_erp, lost, plant.sent['small']))
    return ('of keep nothing: %d of %d billed, each once (%s); of small, whose journal of 1 MiB had forgotten them, %d of %d, '
            'of which the ERP held %d already' % (
                sum(plant.in_erp('keep').values()), plant.sent['keep'], pace, lost, plant.sent['small'],
                sum(billed['small'].values())),
            '%s. /healthz: %s. lost_batches: %s %s. new_epoch: %s. delivery_conflict: %d documents of small' % (
                row['detail'], health.strip(), named['value'], named['detail'], epoch['detail'], len(in_conflict[0])),
            '; '.join((asked, plant.asked(named), epoch_asked)))


def sent_again(plant, row):
    """How fast what the store lost came back."""
    began, missing = time.monotonic(), plant.stream('keep')['missing']
    plant.resolved(row)
    return '%d batches came back in %.0f s' % (missing, time.monotonic() - began)


def made_over_a_period(plant):
    before = [row['id'] for row in plant.stack.collector('documents')]
    # That a period is held is logged for debugging only.
    time.sleep(PERIOD_S + LATENESS_S + 5)
    return [row['id'] for row in plant.stack.collector('documents') if row['id'] not in before]


def nothing_left(plant):
    plant.stop_collector()
    shutil.rmtree(plant.store())
    plant.stack.start('collector')
    unknown = plant.exception('unknown_stream', device='keep')
    asked = plant.asked(unknown)
    before = plant.status()['log_epoch']
    if before < 3:
        raise Unexpected('the file beside the store told nothing: epoch %d' % before)
    plant.command('ledgerline-collector recover --reason "disk lost" --config ' + plant.stack.collector_config)
    expect('the epoch that recover began', plant.status()['log_epoch'], before + 1)
    plant.register_operator_again()
    plant.load()
    for name in ('keep', 'small'):
        # Agents ask again within minutes; a restart makes them ask now.
        plant.stop_agent(name)
        plant.run_agent(name)
        plant.drained(name)
        plant.until(name + ' is rebuilt', lambda: (plant.stream(name) or {}).get('status') == 'open' and (
            plant.stream(name)['linked_upto'] == plant.stack.agent_status(name)['acked_upto'] > 0))
    plant.until('all of keep is folded', lambda: plant.stream('keep')['readings'] == plant.sent['keep'])
    plant.resolved(unknown)
    standing = plant.stack.collector('recover')
    expect('let in', sorted(row['device'] for row in standing['let_in']), ['keep', 'small'])
    # The documents have the ids that they had, so the ERP's are found again.
    in_erp = plant.in_erp('keep')
    plant.command('ledgerline-collector recover --resume --reason "all looked at" --config ' + plant.stack.collector_config)
    plant.until('keep is billed as before', lambda: (
        plant.billed_quantity('keep') == plant.sent['keep']))
    expect('what the ERP holds of keep', plant.in_erp('keep'), in_erp)
    lost = plant.named_quantity('small', 'lost_batches')
    expect('small: rebuilt and named', plant.stream('small')['readings'], plant.sent['small'])
    plant.command('ledgerline-collector recover --end --config ' + plant.stack.collector_config)
    expect('the mode has ended', plant.stack.collector('recover')['active'], False)
    let_in = plant.exception('introduced', device='keep')
    log = plant.agent_log('keep')
    expect('what keep holds', (log['epoch'], log['contradicts_itself']), (before + 1, False))
    return ('of keep nothing; of small %d of %d; who was revoked, the operators, the catalog versions, what people did about exceptions' % (
        lost, plant.sent['small']), '%s; %s' % (unknown['detail'], let_in['detail']),
        asked + '; ' + plant.asked(let_in))


CASES = (('device put back', rollback), ('device cloned', clone), ('device wiped', wiped),
         ('store put back', older_copy), ('store deleted', nothing_left))
