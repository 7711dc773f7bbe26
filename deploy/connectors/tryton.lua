-- Tryton 6.0 over JSON-RPC: a billing summary becomes a draft customer invoice that carries our id in external_id.
-- Needs our small Tryton module (deploy/tryton/module), which makes that id unique and lets the collector's user create drafts
-- and nothing more. The guide for profiles is README.md beside this file.
--
-- settings: company            Tryton's company number, "1"
--           payment_term       name; for parties without a term of their own; default: the only one there is
--           receivable_account name; default: the only account of type receivable
--           journal            code; default: the only journal of type revenue

local FIND_FIELDS = {"external_id", "state", "number", "party.code", "currency.code", "untaxed_amount", "lines"}

-- Everything looked up once per session: { [what .. "/" .. code] = row }. Master data may change under a session, so whoever
-- is refused with a row from here tries once more without.
local cache = {}
local fresh = {}                -- looked up by this very create
local served_from_cache = false

local function context(settings)
  return {company = decimal(settings.company or "1")}
end

-- Results of one call. Tryton's refusals are HTTP 200 with an error whose text is translated: returned as nil and the text.
local function rpc(method, params, effect)
  local reply = call{json = {id = 1, method = method, params = array(params)}, effect = effect}
  if reply.status == decimal(413) then reject("the document is too large for Tryton (HTTP 413)") end
  if reply.status ~= decimal(200) or not reply.json then
    retry(60, method .. " was answered with HTTP " .. tostring(reply.status) .. ": mend the connector's url or user")
  end
  local failure = reply.json.error
  if not failure or failure == null then return reply.json.result end
  local kind, detail = tostring(failure[1]), failure[2]
  local text = type(detail) == "table" and tostring(detail[1]) or tostring(detail)
  -- Another transaction was in the way: nothing was written.
  if kind == "ConcurrencyException" or kind:find("database is locked", 1, true) or text:find("database is locked", 1, true) then
    retry(2, "Tryton is busy: " .. kind)
  end
  return nil, kind .. ": " .. text
end

local function search(model, domain, fields, settings)
  local rows, failure = rpc("model." .. model .. ".search_read",
                            {array(domain), 0, 2, null, array(fields), context(settings)})
  if failure then retry(60, "Tryton does not let us read " .. model .. ": " .. failure) end
  return rows
end

-- The one row that fits; none and several are told apart.
local function only(rows, none, several)
  if #rows == 0 then reject(none) end
  if #rows > 1 then reject(several) end
  return rows[1]
end

local function cached(key, look_up)
  if not cache[key] then
    cache[key] = look_up()
    fresh[key] = true
  elseif not fresh[key] then
    served_from_cache = true
  end
  return cache[key]
end

local function party(code, settings)
  return cached("party/" .. code, function()
    local row = only(search("party.party", {array{"code", "=", code}}, {"code", "name", "customer_payment_term"}, settings),
                     "no party with code '" .. code .. "' in Tryton: create it, or mend external in the account",
                     "several parties with code '" .. code .. "' in Tryton")
    local addresses = search("party.address", {array{"party", "=", row.id}}, {"rec_name"}, settings)
    if #addresses == 0 then reject("party '" .. code .. "' has no address in Tryton, and an invoice needs one") end
    return {id = row.id, address = addresses[1].id, payment_term = row.customer_payment_term}
  end)
end

local function product(code, settings)
  return cached("product/" .. code, function()
    local row = only(search("product.product", {array{"code", "=", code}},
                            {"code", "default_uom.digits", "account_category.account_revenue"}, settings),
                     "no product with code '" .. code .. "' in Tryton: create it, or mend product in the rate card",
                     "several products with code '" .. code .. "' in Tryton")
    local category = row["account_category."]
    if not category or category == null or category.account_revenue == null then
      reject("product '" .. code .. "' has no revenue account in Tryton: give its accounting category one")
    end
    local unit = row["default_uom."]
    return {id = row.id, unit = unit.id, digits = unit.digits, account = category.account_revenue}
  end)
end

local function currency(code, settings)
  return cached("currency/" .. code, function()
    return only(search("currency.currency", {array{"code", "=", code}}, {"code", "digits"}, settings),
                "no currency '" .. code .. "' in Tryton", "several currencies '" .. code .. "' in Tryton")
  end)
end

local function receivable(settings)
  return cached("receivable", function()
    local domain = {array{"type.receivable", "=", true}, array{"company", "=", decimal(settings.company or "1")}}
    if settings.receivable_account then table.insert(domain, array{"name", "=", settings.receivable_account}) end
    return only(search("account.account", domain, {"name"}, settings), "no receivable account in Tryton",
                "several receivable accounts in Tryton: name one as receivable_account in the connector's settings")
  end)
end

local function journal(settings)
  return cached("journal", function()
    local domain = {array{"type", "=", "revenue"}}
    if settings.journal then table.insert(domain, array{"code", "=", settings.journal}) end
    return only(search("account.journal", domain, {"code"}, settings), "no revenue journal in Tryton",
                "several revenue journals in Tryton: name one as journal in the connector's settings")
  end)
end

local function payment_term(settings)
  return cached("payment_term", function()
    local domain = {}
    if settings.payment_term then table.insert(domain, array{"name", "=", settings.payment_term}) end
    return only(search("account.invoice.payment_term", domain, {"name"}, settings), "no payment term in Tryton",
                "several payment terms in Tryton: give the party one, or name one as payment_term in the connector's settings")
  end)
end

-- How many decimals a unit price may have: fixed when the Tryton database was made.
local function price_digits(settings)
  return cached("price_digits", function()
    local fields, failure = rpc("model.account.invoice.line.fields_get", {array{"unit_price"}, context(settings)})
    local digits = not failure and tostring(fields.unit_price.digits):match("^%[%d+, (%d+)%]$")
    return {value = decimal(digits or "4")}
  end)
end

-- Tryton keeps quantities as floats: 15 significant digits come back as they were sent.
local function fits_float(value)
  return #tostring(value):gsub("[-.]", ""):gsub("^0+", "") <= 15
end

-- quantity and unit price where Tryton's own product of them is exactly our amount, else 1 x our amount.
local function quantity_and_price(line, row, money, settings)
  local quantity = decimal(line.billable_quantity):trimmed()
  local price = decimal(line.unit_price):trimmed()
  local fits = decimal(quantity:places()) <= row.digits and fits_float(quantity)
               and decimal(price:places()) <= price_digits(settings).value
  if fits and (quantity * price):rounded(money.digits, "half_even") == decimal(line.amount) then
    return quantity, price
  end
  return decimal(1), decimal(line.amount)
end

local function with_unit(quantity, unit)
  local text = tostring(decimal(quantity):trimmed())
  if unit == "1" then return text end
  return text .. " " .. unit
end

-- For a person: what was metered stands here whatever the columns show.
local function line_text(line, document)
  local text = line.description .. ": " .. with_unit(line.quantity, line.unit) .. " metered (" .. line.meter .. ")"
  if not decimal(line.included):is_zero() then text = text .. ", " .. with_unit(line.included, line.unit) .. " included" end
  local tier = line.tier
  if tier.to ~= null then
    text = text .. ", tier up to " .. tostring(decimal(tier.to):trimmed())
  elseif not decimal(tier.from):is_zero() then
    text = text .. ", tier above " .. tostring(decimal(tier.from):trimmed())
  end
  return text .. ": " .. with_unit(line.billable_quantity, line.unit) .. " at " ..
         tostring(decimal(line.unit_price):trimmed()) .. " " .. document.currency .. " [" .. line.subscription .. "]"
end

local function invoice_line(line, document, money, settings)
  local row = product(line.product, settings)
  local quantity, price = quantity_and_price(line, row, money, settings)
  return {
    type = "line",
    product = row.id,
    unit = row.unit,
    account = row.account,
    quantity = quantity,
    unit_price = {__class__ = "Decimal", decimal = tostring(price)},
    description = line_text(line, document),
  }
end

local function invoice(document, settings)
  local money = currency(document.currency, settings)
  local customer = party(document.account.external, settings)
  local lines = array{}
  for _, line in ipairs(document.lines) do
    table.insert(lines, invoice_line(line, document, money, settings))
  end
  local term = customer.payment_term
  if not term or term == null then term = payment_term(settings).id end
  return {
    company = decimal(settings.company or "1"),
    type = "out",
    party = customer.id,
    invoice_address = customer.address,
    account = receivable(settings).id,
    journal = journal(settings).id,
    payment_term = term,
    currency = money.id,
    external_id = document.external_id,
    reference = document.contract .. " " .. document.period.local_from,
    description = "Usage from " .. document.period.local_from .. " until " .. document.period.local_until .. " " ..
                  document.period.time_zone,
    lines = array{array{"create", lines}},
  }
end

local function rows_with_our_id(document, settings)
  return search("account.invoice", {array{"external_id", "=", document.external_id}}, FIND_FIELDS, settings)
end

local function login(settings)
  cache = {}
  local reply = call{json = {id = 0, method = "common.db.login",
                             params = array{settings.user, {password = settings.password}}}}
  local session = reply.json and reply.json.result
  if not session or session == null then
    reject("Tryton refuses user '" .. settings.user .. "' or its password (HTTP " .. tostring(reply.status) ..
           "): mend password_file of the connector")
  end
  local token = settings.user .. ":" .. tostring(session[1]) .. ":" .. session[2]
  return {Authorization = "Session " .. base64(token)}
end

local function find(document, settings)
  local rows = rows_with_our_id(document, settings)
  if #rows == 0 then return nil end
  return {reference = tostring(rows[1].id)}
end

local function create(document, settings)
  fresh, served_from_cache = {}, false
  local order = invoice(document, settings)
  local created, failure = rpc("model.account.invoice.create", {array{order}, context(settings)}, true)
  if not failure then return {reference = tostring(created[1])} end
  -- A refusal has no code, so the question is not what it says but whether our invoice is there.
  local rows = rows_with_our_id(document, settings)
  if #rows > 0 then return {reference = tostring(rows[1].id)} end
  if served_from_cache then
    cache = {}
    retry(1, "refused with remembered master data: " .. failure)
  end
  reject("Tryton refuses the invoice: " .. failure)
end

local function difference(name, ours, theirs)
  if ours == theirs then return "" end
  return name .. " " .. tostring(theirs) .. " instead of " .. tostring(ours) .. "; "
end

local function confirm(document, reference, settings)
  local rows = rows_with_our_id(document, settings)
  if #rows ~= 1 or tostring(rows[1].id) ~= reference then
    return {equal = false, differences = #rows .. " invoices carry our id"}
  end
  local row = rows[1]
  local amount = decimal(row.untaxed_amount.decimal)
  local differences = difference("external id", document.external_id, row.external_id)
                      .. difference("amount", decimal(document.untaxed_total), amount)
                      .. difference("currency", document.currency, row["currency."].code)
                      .. difference("party", document.account.external, row["party."].code)
                      .. difference("lines", #document.lines, #row.lines)
  return {equal = differences == "", differences = differences, state = row.state,
          amount = tostring(amount) .. " " .. row["currency."].code}
end

return {
  name = "tryton",
  capabilities = {
    unique_ref = true,           -- our module makes external_id unique
    commit_lag_ms = 6000,        -- a create may wait 5 s for another writer (SQLite) after its client has gone
    requests_per_second = 50,
  },
  login = login,
  find = find,
  create = create,
  confirm = confirm,
}
