"""A stack for tests of what files give: broker, collector and one agent that follows files."""
import os
import time

from stack import Stack, StackError

DEVICE, AGENT = 'app-1', 'agent-app-1'
COLLECTOR = '''state = "state"
catalog = "@CATALOG@"
listen = "127.0.0.1:@COLLECTOR_PORT@"

[broker]
host = "127.0.0.1"
port = @BROKER_PORT@
ca = "@STATE@/pki/ca.pem"
certificate = "@STATE@/pki/collector.pem"
private_key = "@STATE@/pki/collector.key"
acl_file = "@STATE@/broker/acl"

[authority]
certificate = "@STATE@/pki/ca.pem"
private_key = "@STATE@/pki/ca.key"
'''
AGENT_HEAD = '''tenant = "%s"
device = "app-1"
state = "state"

[broker]
host = "127.0.0.1"
port = @BROKER_PORT@

[batch]
age_max = "1s"

[heartbeat]
interval = "1s"

[input.http]
socket = "agent.sock"

'''


def prepare(state, build, tenant, agent_config, catalog, collector_config=''):
    """Broker and collector run; the agent is enrolled and not started. The texts follow those above."""
    for name, text in (('templates/collector.toml.in', COLLECTOR + collector_config),
                       ('templates/agent-app-1.toml.in', AGENT_HEAD % tenant + agent_config),
                       ('catalog/catalog.toml', 'tenant = "%s"\n%s' % (tenant, catalog))):
        path = os.path.join(state, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as file:
            file.write(text)
    stack = Stack(state, build, templates=os.path.join(state, 'templates'), catalog=os.path.join(state, 'catalog'))
    stack.call('prepare_broker')
    stack.start('broker')
    stack.call('prepare_collector', COLLECTOR_ERP_PORT='1')
    stack.start('collector')
    stack.call('prepare_agent', DEVICE)
    return stack


def file_statuses(stack):
    """One per followed file, or none while the agent is down."""
    try:
        status = stack.agent_status(DEVICE)
    except StackError:
        return []
    return status['inputs']['file'] if status['running'] else []


def wait_until_read(stack, lines, patience):
    """The statuses once the files together gave so many lines."""
    began = time.monotonic()
    while True:
        statuses = file_statuses(stack)
        if statuses and sum(status['lines'] for status in statuses) >= lines:
            return statuses
        if time.monotonic() - began > patience:
            raise StackError('the agent read %s of %d lines' % (statuses, lines))
        time.sleep(0.05)
