"""Members of "Ledgerline Collector" may write a handful of models and nothing else.

Tryton opens a model to every user unless an access row says otherwise, and some shipped models
(parties, addresses) have no such row. So the group is closed by default here, in one list, instead
of by one row for each model of every module that may be activated later. Wizards need to create a
session record, which is not in the list: crediting, paying and refunding stay out of reach too. Buttons are
closed altogether: where a button has no group of its own, Tryton lets everyone press it who may write
the model.
"""
from trytond.pool import Pool, PoolMeta
from trytond.transaction import Transaction

WRITABLE = {
    'account.invoice',
    'account.invoice.line',
    'account.invoice.line-account.tax',
    'account.invoice.tax',
    'ir.note',
    'project.work',
    'sale.opportunity',
    'stock.move',
    'stock.shipment.internal',
    }
NOBODY = -1


def is_collector():
    pool = Pool()
    # The look-up reads through the same access check; root ends the recursion.
    with Transaction().set_user(0):
        group = pool.get('ir.model.data').get_id('ledgerline', 'group_collector')
    return group in pool.get('res.user').get_groups()


class ModelAccess(metaclass=PoolMeta):
    __name__ = 'ir.model.access'

    @classmethod
    def get_access(cls, models):
        accesses = super().get_access(models)
        if Transaction().user == 0 or not is_collector():
            return accesses
        # New dictionaries: the ones at hand live in a cache.
        return {
            model: {
                'read': access['read'],
                'write': access['write'] and model in WRITABLE,
                'create': access['create'] and model in WRITABLE,
                'delete': False,
                }
            for model, access in accesses.items()}


class ModelButton(metaclass=PoolMeta):
    __name__ = 'ir.model.button'

    @classmethod
    def get_groups(cls, model, name):
        if Transaction().user != 0 and is_collector():
            return {NOBODY}
        return super().get_groups(model, name)
