"""The steps that turn an empty database into an ERP that can post customer invoices, plan service
and look after accounts.

Runs inside the `prepare` process through proteus, without a server: over XML-RPC every call would
cost one bcrypt check. Import this only after Tryton's configuration is loaded.
"""
import argparse
import datetime
import os
from decimal import Decimal

MODULES = ['account_invoice', 'project', 'sale_opportunity', 'stock_lot', 'ledgerline']


def create_schema(database, password_file):
    """Tables, views and modules in one pass over the model registry; sets admin's password."""
    from trytond import admin, backend
    from trytond.pool import Pool

    # Nobody uses the database before the finished file is synced and renamed into place, so a
    # power cut costs only a repeated preparation. Syncing 150 commits would cost seconds.
    connect = backend.Database.connect

    def connect_unsynced(self):
        connect(self)._conn.execute('PRAGMA synchronous = OFF')
        return self
    backend.Database.connect = connect_unsynced

    os.environ['TRYTONPASSFILE'] = password_file
    Pool.start()
    admin.run(argparse.Namespace(
        database_names=[database], update=['ir', 'res'] + MODULES, activatedeps=True,
        languages=[], update_modules_list=False, email='admin@example.invalid', password=False,
        reset_password=False, test_email=None, hostname=None, validate=None))


class Erp:
    """Proteus bound to the new database, with the few look-ups that the steps share."""

    def __init__(self, conf, database, data):
        from proteus import Model, Wizard, config
        self.config = config.set_trytond(
            'sqlite:///' + database, user='admin', config_file=conf)
        self.model, self.wizard, self.data = Model.get, Wizard, data
        self.company = self.category = self.payment_term = None

    def one(self, model, *clauses):
        found = self.model(model).find(list(clauses), limit=1)
        if not found:
            raise LookupError('no %s with %s' % (model, clauses))
        return found[0]

    def account(self, kind):
        return self.one('account.account', ('type.' + kind, '=', True))

    # Steps, in this order.

    def set_up_company(self):
        currency = self.model('currency.currency')(
            name=self.data['currency']['name'], symbol=self.data['currency']['symbol'],
            code=self.data['currency']['code'], digits=self.data['currency']['digits'],
            rounding=Decimal(1).scaleb(-self.data['currency']['digits']))
        rate = currency.rates.new()
        rate.date, rate.rate = datetime.date(2000, 1, 1), Decimal(1)
        currency.save()
        party = self.model('party.party')(**self.data['company'])
        party.save()
        wizard = self.wizard('company.company.config')
        wizard.execute('company')
        wizard.form.party, wizard.form.currency = party, currency
        wizard.execute('add')
        self.config._context = self.model('res.user').get_preferences(True, {})
        self.company = self.one('company.company')

    def set_up_accounts(self):
        template = self.one(
            'ir.model.data', ('module', '=', 'account'), ('fs_id', '=', 'account_template_root_en'))
        wizard = self.wizard('account.create_chart')
        wizard.execute('account')
        wizard.form.account_template = self.model('account.account.template')(template.db_id)
        wizard.form.company = self.company
        wizard.execute('create_account')
        wizard.form.account_receivable = self.account('receivable')
        wizard.form.account_payable = self.account('payable')
        wizard.execute('create_properties')

    def set_up_fiscal_years(self, today):
        for year in (today.year - 1, today.year, today.year + 1):
            self._set_up_fiscal_year(year)

    def _set_up_fiscal_year(self, year):
        move_type = self.one('ir.sequence.type', ('name', '=', 'Account Move'))
        invoice_type = self.one('ir.sequence.type', ('name', '=', 'Invoice'))
        moves = self.model('ir.sequence')(
            name='Move %d' % year, sequence_type=move_type, company=self.company)
        moves.save()
        invoices = self.model('ir.sequence.strict')(
            name='Invoice %d' % year, prefix='INV-%d-' % year, padding=6,
            sequence_type=invoice_type, company=self.company)
        invoices.save()
        fiscal_year = self.model('account.fiscalyear')(
            name=str(year), start_date=datetime.date(year, 1, 1),
            end_date=datetime.date(year, 12, 31), company=self.company, post_move_sequence=moves)
        sequences, = fiscal_year.invoice_sequences
        sequences.out_invoice_sequence = sequences.out_credit_note_sequence = invoices
        sequences.in_invoice_sequence = sequences.in_credit_note_sequence = invoices
        fiscal_year.save()
        fiscal_year.click('create_period')

    def set_up_payment_term(self):
        term = self.data['payment_term']
        self.payment_term = self.model('account.invoice.payment_term')(name=term['name'])
        line = self.payment_term.lines.new(type='remainder')
        delta = line.relativedeltas[0] if line.relativedeltas else line.relativedeltas.new()
        delta.days = term['days']
        self.payment_term.save()

    def set_up_products(self):
        self.category = self.model('product.category')(
            name=self.data['category'], accounting=True)
        self.category.account_revenue = self.account('revenue')
        self.category.account_expense = self.account('expense')
        self.category.save()
        for product in self.data['products']:
            template = self.model('product.template')(
                name=product['name'], type=product.get('type', 'service'),
                account_category=self.category,
                default_uom=self.one('product.uom', ('name', '=', product['unit'])),
                list_price=Decimal(product['list_price']))
            # A product's own code is computed from its template's.
            template.code = product['code']
            template.save()

    def set_up_parties(self):
        for row in self.data['parties']:
            party = self.model('party.party')(code=row['code'], name=row['name'])
            address = party.addresses[0] if party.addresses else party.addresses.new()
            for name, value in row['address'].items():
                setattr(address, name, value)
            party.customer_payment_term = self.payment_term
            party.save()

    def set_up_field_service(self):
        names = self.data['maintenance']
        self.model('project.work')(
            name=names['project'], type='project', company=self.one('company.company')).save()
        # Inside the warehouse, so that a shipment there needs no transit.
        self.model('stock.location')(
            name=names['location'], type='storage',
            parent=self.one('stock.location', ('type', '=', 'warehouse'))).save()
        for asset in self.data['assets']:
            self.model('stock.lot')(
                number=asset['number'],
                product=self.one('product.product', ('code', '=', asset['product']))).save()

    def set_up_employees(self):
        for row in (self.data['field_service'], self.data['customer_success']):
            party = self.model('party.party')(**row)
            party.save()
            self.model('company.employee')(party=party, company=self.one('company.company')).save()

    def _employee(self, key):
        return self.one('company.employee', ('party.code', '=', self.data[key]['code']))

    def set_up_users(self, passwords):
        self._set_up_user('collector', 'Ledgerline collector (API)', passwords['collector'],
                          ['Ledgerline Collector'])
        self._set_up_user('finance', 'Finance', passwords['finance'],
                          ['Account', 'Account Administration'])
        self._set_up_user('service', 'Field service', passwords['service'],
                          ['Ledgerline Field Service', 'Stock'], 'field_service')
        self._set_up_user('success', 'Customer success', passwords['success'],
                          ['Ledgerline Customer Success', 'Sales'], 'customer_success')

    def _set_up_user(self, login, name, password, groups, employee=None):
        user = self.model('res.user')(login=login, name=name, password=password)
        for group in groups:
            user.groups.append(self.one('res.group', ('name', '=', group)))
        # One proteus record can sit in one field only, hence two copies of the company.
        user.companies.append(self.one('company.company'))
        user.company = self.one('company.company')
        if employee:
            user.employees.append(self._employee(employee))
            user.employee = self._employee(employee)
        user.save()
