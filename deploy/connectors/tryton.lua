-- Tryton 6.0 over JSON-RPC: a billing summary becomes a draft customer invoice, a maintenance order a work (a task) with a draft
-- shipment of its spare parts; both carry our id in external_id. Needs our small Tryton module (deploy/tryton/module), which
-- makes that id unique and lets the collector's user create drafts and nothing more. The guide for profiles is README.md beside
-- this file.
--
-- settings: company             Tryton's company number, "1"
--           payment_term        name; for parties without a term of their own; default: the only one there is
--           receivable_account  name; default: the only account of type receivable
--           journal             code; default: the only journal of type revenue
--           maintenance_project name of the project that holds the orders; default "Maintenance"
--           warehouse           code of the one that gives spare parts; default: the only one
--           service_location    name of the location they go to; default "Field service"

local INVOICE_FIELDS = {"external_id", "state", "number", "party.code", "currency.code", "untaxed_amount", "lines"}
local ORDER_FIELDS = {"external_id", "external_revision", "status.name", "status.progress", "asset.number", "parts.moves",
                      "closed_at", "closed_by.name", "timesheet_duration"}
local CLOSED = decimal(1)       -- the progress of a status that ends a work
local PRIORITIES = {high = "1", normal = "2", low = "3"}

-- Everything looked up once per session: { [what .. "/" .. code] = row }. Master data may change under a session, so whoever
-- is refused with a row from here tries once more without.
local cache = {}
local fresh = {}                -- looked up by this very create
local served_from_cache = false

local function company(settings)
  return decimal(settings.company or "1")
end

local function context(settings)
  return {company = company(settings)}
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
    if #addresses == 0 then reject("party '" .. code .. "' has no address in Tryton: give it one") end
    return {id = row.id, address = addresses[1].id, payment_term = row.customer_payment_term}
  end)
end

local function product(code, settings)
  return cached("product/" .. code, function()
    local row = only(search("product.product", {array{"code", "=", code}},
                            {"code", "default_uom.digits", "account_category.account_revenue"}, settings),
                     "no product with code '" .. code .. "' in Tryton: create it, or mend product in the catalog",
                     "several products with code '" .. code .. "' in Tryton")
    local unit = row["default_uom."]
    local category = row["account_category."]
    local account = category and category ~= null and category.account_revenue or null
    return {id = row.id, unit = unit.id, digits = unit.digits, account = account}
  end)
end

local function rows_with_id(model, external_id, fields, settings)
  return search(model, {array{"external_id", "=", external_id}}, fields, settings)
end

local function find_in(model, external_id, fields, settings)
  local rows = rows_with_id(model, external_id, fields, settings)
  if #rows == 0 then return nil end
  return {reference = tostring(rows[1].id)}
end

local function create_in(model, values, fields, settings)
  local created, failure = rpc("model." .. model .. ".create", {array{values}, context(settings)}, true)
  if not failure then return {reference = tostring(created[1])} end
  -- A refusal has no code, so the question is not what it says but whether our id is there.
  local found = find_in(model, values.external_id, fields, settings)
  if found then return found end
  if served_from_cache then
    cache = {}
    retry(1, "refused with remembered master data: " .. failure)
  end
  reject("Tryton refuses the document: " .. failure)
end

local function difference(name, ours, theirs)
  if ours == theirs then return "" end
  return name .. " " .. tostring(theirs) .. " instead of " .. tostring(ours) .. "; "
end

-- Tryton keeps quantities as floats: 15 significant digits come back as they were sent.
local function fits_float(value)
  return #tostring(value):gsub("[-.]", ""):gsub("^0+", "") <= 15
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

-- ---- Billing summary: a draft invoice

local function currency(code, settings)
  return cached("currency/" .. code, function()
    return only(search("currency.currency", {array{"code", "=", code}}, {"code", "digits"}, settings),
                "no currency '" .. code .. "' in Tryton", "several currencies '" .. code .. "' in Tryton")
  end)
end

local function receivable(settings)
  return cached("receivable", function()
    local domain = {array{"type.receivable", "=", true}, array{"company", "=", company(settings)}}
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
  if row.account == null then
    reject("product '" .. line.product .. "' has no revenue account in Tryton: give its accounting category one")
  end
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
    company = company(settings),
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

local function find_invoice(document, settings)
  return find_in("account.invoice", document.external_id, INVOICE_FIELDS, settings)
end

local function create_invoice(document, settings)
  return create_in("account.invoice", invoice(document, settings), INVOICE_FIELDS, settings)
end

local function confirm_invoice(document, reference, settings)
  local rows = rows_with_id("account.invoice", document.external_id, INVOICE_FIELDS, settings)
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

-- ---- Maintenance order: a work, and a shipment of its spare parts. All revisions of an order have one id, document.id.

local function asset(document, settings)
  local number = document.asset.external
  if number == "" then reject("asset '" .. document.asset.name .. "' has no lot number: name it as external in the asset") end
  return cached("lot/" .. number .. "/" .. document.asset.model, function()
    local domain = {array{"number", "=", number}}
    local rows = search("stock.lot", domain, {"number"}, settings)
    if #rows > 1 then
      table.insert(domain, array{"product.code", "=", document.asset.model})
      rows = search("stock.lot", domain, {"number"}, settings)
    end
    return only(rows, "no lot with number '" .. number .. "' in Tryton: create it, or mend external in the asset",
                "several lots with number '" .. number .. "' in Tryton, and not one of them of a product with code '" ..
                document.asset.model .. "'")
  end)
end

local function project(settings)
  local name = settings.maintenance_project or "Maintenance"
  return cached("project", function()
    return only(search("project.work", {array{"type", "=", "project"}, array{"name", "=", name}}, {"name"}, settings),
                "no project '" .. name .. "' in Tryton: create it, or name maintenance_project in the connector's settings",
                "several projects '" .. name .. "' in Tryton")
  end)
end

local function places(settings)
  local name = settings.service_location or "Field service"
  return cached("places", function()
    local domain = {array{"type", "=", "warehouse"}}
    if settings.warehouse then table.insert(domain, array{"code", "=", settings.warehouse}) end
    local warehouse = only(search("stock.location", domain, {"storage_location"}, settings), "no warehouse in Tryton",
                           "several warehouses in Tryton: name one as warehouse in the connector's settings")
    local target = only(search("stock.location", {array{"type", "=", "storage"}, array{"name", "=", name}}, {"name"}, settings),
                        "no location '" .. name .. "' in Tryton: create it, or name service_location in the connector's settings",
                        "several locations '" .. name .. "' in Tryton")
    return {from = warehouse.storage_location, to = target.id}
  end)
end

-- "2026-11-21T08:00:00.000Z" as Tryton's JSON has it.
local function date_of(text)
  local year, month, day = text:match("^(%d+)-(%d+)-(%d+)T")
  return {__class__ = "date", year = tonumber(year), month = tonumber(month), day = tonumber(day)}
end

local function datetime_of(text)
  local moment = date_of(text)
  local hour, minute, second = text:match("T(%d+):(%d+):(%d+)")
  moment.__class__ = "datetime"
  moment.hour, moment.minute, moment.second, moment.microsecond = tonumber(hour), tonumber(minute), tonumber(second), 0
  return moment
end

local function text_of_datetime(moment)
  if not moment or moment == null then return nil end
  local function part(name) return tonumber(tostring(moment[name])) end
  return string.format("%04d-%02d-%02dT%02d:%02d:%02dZ", part("year"), part("month"), part("day"), part("hour"), part("minute"),
                       part("second"))
end

local function span(minutes)
  local n = tonumber(tostring(minutes))
  if n % 1440 == 0 then return n // 1440 .. " d" end
  if n % 60 == 0 then return n // 60 .. " h" end
  return n .. " min"
end

local function short_time(text)
  return text:sub(1, 10) .. " " .. text:sub(12, 16)
end

local function condition_text(condition)
  local where = {}
  for name, value in pairs(condition.where) do table.insert(where, name .. "=" .. value) end
  table.sort(where)
  local text = condition.value
  if condition.meter ~= "" then text = condition.meter .. " " .. text end
  if #where > 0 then text = text .. " (" .. table.concat(where, ", ") .. ")" end
  if not condition.window_minutes:is_zero() then text = text .. " over " .. span(condition.window_minutes) end
  if not condition.ahead_minutes:is_zero() then text = text .. ", " .. span(condition.ahead_minutes) .. " ahead" end
  return text
end

local function evidence_text(evidence)
  local order, numbers = {}, {}
  for _, batch in ipairs(evidence.batches) do
    if not numbers[batch.stream] then
      numbers[batch.stream] = {}
      table.insert(order, batch.stream)
    end
    table.insert(numbers[batch.stream], tostring(batch.number))
  end
  local lines = {"Evidence: the log's first " .. tostring(evidence.log_leaves) .. " leaves"}
  for _, stream in ipairs(order) do
    table.insert(lines, "stream " .. stream .. ", batches " .. table.concat(numbers[stream], " "))
  end
  if not evidence.batches_more:is_zero() then
    table.insert(lines, "and " .. tostring(evidence.batches_more) .. " older batches")
  end
  return table.concat(lines, "\n")
end

-- For a person. One line each, without columns: the web client's font is proportional.
local function readings_text(document)
  local lines = {"Rule " .. document.rule .. ", order " .. tostring(document.number) .. " of " .. document.asset.name .. " (" ..
                 document.asset.model .. "), decided " .. short_time(document.decided_at) .. " UTC", ""}
  for _, condition in ipairs(document.conditions) do
    table.insert(lines, condition_text(condition) .. ": " .. (condition.found == null and "no value" or condition.found) ..
                        ", limit: " .. condition.side .. " " .. condition.limit .. (condition.met and ", met" or ", not met"))
  end
  if #document.readings > 0 then table.insert(lines, "\nReadings from (UTC)") end
  for _, reading in ipairs(document.readings) do
    local condition = document.conditions[tonumber(tostring(reading.condition))]
    table.insert(lines, short_time(reading.from) .. "  " .. condition.meter .. " " .. reading.value .. "  (" ..
                        tostring(reading.readings) .. " read)")
  end
  return table.concat(lines, "\n") .. "\n\n" .. evidence_text(document.evidence)
end

local function shipment(document, settings)
  local place = places(settings)
  local due = date_of(document.due_at)
  local moves = array{}
  for _, part in ipairs(document.parts) do
    local row = product(part.product, settings)
    local quantity = decimal(part.quantity):trimmed()
    if row.digits < decimal(quantity:places()) or not fits_float(quantity) then
      reject("the unit of product '" .. part.product .. "' in Tryton cannot count " .. tostring(quantity))
    end
    table.insert(moves, {company = company(settings), product = row.id, uom = row.unit, quantity = quantity,
                         from_location = place.from, to_location = place.to})
  end
  return {
    company = company(settings),
    external_id = document.id .. ":parts",
    reference = document.asset.name .. " " .. document.rule,
    from_location = place.from,
    to_location = place.to,
    planned_start_date = due,
    planned_date = due,
    moves = array{array{"create", moves}},
  }
end

local function order(document, settings)
  local values = {
    company = company(settings),
    type = "task",
    parent = project(settings).id,
    name = document.asset.name .. ": " .. document.description,
    external_id = document.id,
    external_revision = document.revision,
    asset = asset(document, settings).id,
    site = document.asset.site,
    priority = PRIORITIES[document.priority],
    due_at = datetime_of(document.due_at),
    effort_duration = {__class__ = "timedelta", seconds = document.effort_minutes * 60},
    readings = readings_text(document),
  }
  if document.account ~= null then
    local customer = party(document.account.external, settings)
    values.party = customer.id
    values.party_address = customer.address
  end
  if #document.parts > 0 then values.parts = array{array{"create", array{shipment(document, settings)}}} end
  return values
end

local function find_order(document, settings)
  return find_in("project.work", document.id, ORDER_FIELDS, settings)
end

local function create_order(document, settings)
  return create_in("project.work", order(document, settings), ORDER_FIELDS, settings)
end

-- The work that carries our id; nil where it is not the one we know.
local function order_row(document, reference, settings)
  local rows = rows_with_id("project.work", document.id, ORDER_FIELDS, settings)
  if #rows == 1 and tostring(rows[1].id) == reference then return rows[1] end
end

local function is_closed(row)
  return row["status."].progress == CLOSED
end

local function confirm_order(document, reference, settings)
  local row = order_row(document, reference, settings)
  if not row then return {equal = false, differences = "not exactly one work carries our id"} end
  local lot, shipments, revision = row["asset."], row["parts."], row.external_revision
  local differences = difference("asset", document.asset.external, lot and lot ~= null and lot.number or "none")
  -- Later the parts belong to the warehouse.
  if document.revision == decimal(1) then
    differences = differences .. difference("parts", #document.parts, shipments[1] and #shipments[1].moves or 0)
  end
  -- A newer revision there has said more, and an order that is closed needs no repeat.
  local outdated = differences == "" and not is_closed(row) and (revision == null or revision < document.revision)
  if outdated then differences = difference("revision", document.revision, revision) end
  return {equal = differences == "", outdated = outdated, differences = differences, state = row["status."].name}
end

local function update_order(document, reference, settings)
  local values = {external_revision = document.revision, readings = readings_text(document)}
  local _, failure = rpc("model.project.work.write", {array{decimal(reference)}, values, context(settings)}, true)
  if not failure then return end
  local row = order_row(document, reference, settings)
  if not row or not is_closed(row) then reject("Tryton refuses newer readings for the order: " .. failure) end
end

local function progress_of_order(document, reference, settings)
  local row = order_row(document, reference, settings)
  if not row then reject("not exactly one work carries the id " .. document.id) end
  local closed_by, booked = row["closed_by."], row.timesheet_duration
  local seconds = booked and booked ~= null and booked.seconds or decimal(0)
  return {
    closed = is_closed(row),
    closed_at = text_of_datetime(row.closed_at),
    by = closed_by and closed_by ~= null and closed_by.name or nil,
    effort_minutes = tonumber(tostring(seconds:rounded(0))) // 60,
  }
end

-- ---- By kind

local KINDS = {
  ["billing-summary"] = {find = find_invoice, create = create_invoice, confirm = confirm_invoice},
  ["maintenance-order"] = {find = find_order, create = create_order, confirm = confirm_order, update = update_order,
                           progress = progress_of_order},
}

local function handler(document, name)
  local kind = KINDS[document.kind]
  return kind and kind[name] or reject("this profile has no " .. name .. " for documents of kind " .. tostring(document.kind))
end

local function find(document, settings)
  return handler(document, "find")(document, settings)
end

local function create(document, settings)
  fresh, served_from_cache = {}, false
  return handler(document, "create")(document, settings)
end

local function confirm(document, reference, settings)
  return handler(document, "confirm")(document, reference, settings)
end

local function update(document, reference, settings)
  return handler(document, "update")(document, reference, settings)
end

local function progress(document, reference, settings)
  return handler(document, "progress")(document, reference, settings)
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
  update = update,
  progress = progress,
}
