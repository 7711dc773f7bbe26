-- Tryton 6.0 over JSON-RPC. Billing summaries and adjustments become draft customer invoices, a maintenance order a work (a task)
-- with a draft shipment of its spare parts, an account update a note on the party, an opportunity a sale opportunity in state lead;
-- all carry our id in external_id. Needs our small Tryton module (deploy/tryton/module), which makes that id unique and lets the
-- collector's user create drafts and nothing more. The guide for profiles is README.md beside this file.
--
-- settings: company             Tryton's company number, "1"
--           payment_term        name; for parties without a term of their own; default: the only one there is
--           receivable_account  name; default: the only account of type receivable
--           journal             code; default: the only journal of type revenue
--           maintenance_project name of the project that holds the orders; default "Maintenance"
--           warehouse           code of the one that gives spare parts; default: the only one
--           service_location    name of the location they go to; default "Field service"

-- Everything looked up once per session: { [what .. "/" .. code] = row }. Master data may change under a session, so whoever
-- is refused with a row from here tries once more without.
local cache = {}
local fresh = {}                -- looked up by this very create
local served_from_cache = false

local function company(settings) return decimal(settings.company or "1") end
local function context(settings) return {company = company(settings)} end

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
  local values = {array(domain), 0, 2, null, array(fields), context(settings)}
  local rows, failure = rpc("model." .. model .. ".search_read", values)
  return rows or retry(60, "Tryton does not let us read " .. model .. ": " .. failure)
end

-- The one row that fits; none and several are told apart.
local function only(rows, none, several)
  if #rows == 0 then reject(none) end
  if #rows > 1 then reject(several) end
  return rows[1]
end

-- Master data, remembered.
local function cached(key, look_up)
  if not cache[key] then
    cache[key] = look_up()
    fresh[key] = true
  elseif not fresh[key] then
    served_from_cache = true
  end
  return cache[key]
end

local function the(key, model, domain, fields, settings, none, several)
  return cached(key, function() return only(search(model, domain, fields, settings), none, several) end)
end

local function party(account, settings)
  local code = account.external
  if code == "" then reject("account '" .. account.name .. "' has no party code: name it as external in the account") end
  return the("party/" .. code, "party.party", {array{"code", "=", code}}, {"code", "name", "customer_payment_term"}, settings,
             "no party with code '" .. code .. "' in Tryton: create it, or mend external in the account",
             "several parties with code '" .. code .. "' in Tryton")
end

local function address(customer, settings)
  return cached("address/" .. customer.code, function()
    local rows = search("party.address", {array{"party", "=", customer.id}}, {"rec_name"}, settings)
    return rows[1] or reject("party '" .. customer.code .. "' has no address in Tryton: give it one")
  end)
end

local function product(code, settings)
  return the("product/" .. code, "product.product", {array{"code", "=", code}},
             {"code", "default_uom.digits", "account_category.account_revenue"}, settings,
             "no product with code '" .. code .. "' in Tryton: create it, or mend product in the catalog",
             "several products with code '" .. code .. "' in Tryton")
end

-- The one that the connector's settings name, or the only one there is.
local function chosen(setting, model, domain, field, settings, what, fields)
  if settings[setting] then table.insert(domain, array{field, "=", settings[setting]}) end
  return the(setting, model, domain, fields or {field}, settings, "no " .. what .. " in Tryton",
             "several " .. what .. "s in Tryton: name one as " .. setting .. " in the connector's settings")
end

-- nil also where a field is not set.
local function given(value) if value ~= null then return value end end
local function decimal_of(value) return {__class__ = "Decimal", decimal = tostring(value)} end
-- Tryton keeps quantities as floats: 15 significant digits come back as they were sent.
local function fits_float(value) return #tostring(value):gsub("[-.]", ""):gsub("^0+", "") <= 15 end

local function difference(name, ours, theirs)
  if ours == theirs then return "" end
  return name .. " " .. tostring(theirs) .. " instead of " .. tostring(ours) .. "; "
end

-- Whether the record is this revision. A newer one has said more, and what people have settled needs no repeat.
local function compared(document, row, differences, state, settled)
  local revision = row.external_revision
  local outdated = differences == "" and not settled and (revision == null or revision < document.revision)
  if outdated then differences = difference("revision", document.revision, revision) end
  return {equal = differences == "", outdated = outdated, differences = differences, state = state}
end

-- "2026-11-21T08:00:00.000Z" as Tryton's JSON has it: a "date", or with the time of day a "datetime".
local function moment(class, text)
  local year, month, day, hour, minute, second = text:match("^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)")
  local value = {__class__ = class, year = tonumber(year), month = tonumber(month), day = tonumber(day)}
  if class == "datetime" then
    value.hour, value.minute, value.second, value.microsecond = tonumber(hour), tonumber(minute), tonumber(second), 0
  end
  return value
end

local function progress_of(row, closed)
  local at, by = given(row.closed_at), given(row["closed_by."])
  local function part(name) return tonumber(tostring(at[name])) end
  return {closed = closed, by = by and by.name,
          closed_at = at and string.format("%04d-%02d-%02dT%02d:%02d:%02dZ", part("year"), part("month"), part("day"),
                                           part("hour"), part("minute"), part("second"))}
end

-- ---- Texts for people. One line each, without columns: the web client's font is proportional.

local function plain(number) return tostring(decimal(number):trimmed()) end
local function with_unit(quantity, unit) return unit == "1" and plain(quantity) or plain(quantity) .. " " .. unit end
local function percent(share) return plain((decimal(share) * decimal(100)):rounded(1)) .. " %" end
local function day(text) return text:sub(1, 10) end
local function short_time(text) return day(text) .. " " .. text:sub(12, 16) end
local function date_or_time(text) return text:sub(12, 16) == "00:00" and day(text) or short_time(text) end
local function log_text(evidence) return "Evidence: the log's first " .. tostring(evidence.log_leaves) .. " leaves" end
local function rule_text(document)
  return "Rule " .. document.rule .. ", " .. document.id .. ", revision " .. tostring(document.revision)
end

local function login(settings)
  cache = {}
  local reply = call{json = {id = 0, method = "common.db.login", params = array{settings.user, {password = settings.password}}}}
  local session = reply.json and given(reply.json.result) or
                  reject("Tryton refuses user '" .. settings.user .. "' or its password (HTTP " .. tostring(reply.status) ..
                         "): mend password_file of the connector")
  return {Authorization = "Session " .. base64(settings.user .. ":" .. tostring(session[1]) .. ":" .. session[2])}
end

-- ---- Billing summary: a draft invoice

-- How many decimals a unit price may have: fixed when the Tryton database was made.
local function price_digits(settings)
  return cached("price_digits", function()
    local fields, failure = rpc("model.account.invoice.line.fields_get", {array{"unit_price"}, context(settings)})
    local digits = not failure and tostring(fields.unit_price.digits):match("^%[%d+, (%d+)%]$")
    return {value = decimal(digits or "4")}
  end)
end

-- quantity and unit price where Tryton's own product of them is exactly our amount, else 1 x our amount.
local function quantity_and_price(line, digits, money, settings)
  local quantity = decimal(line.billable_quantity):trimmed()
  local price = decimal(line.unit_price):trimmed()
  local fits = decimal(quantity:places()) <= digits and fits_float(quantity)
               and decimal(price:places()) <= price_digits(settings).value
  if fits and (quantity * price):rounded(money.digits, "half_even") == decimal(line.amount) then return quantity, price end
  return decimal(1), decimal(line.amount)
end

-- For a person: what was metered stands here whatever the columns show.
local function line_text(line, document)
  local text = line.description .. ": " .. with_unit(line.quantity, line.unit) .. " metered (" .. line.meter .. ")"
  if line.booked_quantity then text = text .. ", " .. with_unit(line.booked_quantity, line.unit) .. " booked before" end
  if not decimal(line.included):is_zero() then text = text .. ", " .. with_unit(line.included, line.unit) .. " included" end
  local tier = line.tier
  if tier.to ~= null then
    text = text .. ", tier up to " .. plain(tier.to)
  elseif not decimal(tier.from):is_zero() then
    text = text .. ", tier above " .. plain(tier.from)
  end
  return text .. ": " .. with_unit(line.billable_quantity, line.unit) .. " at " .. plain(line.unit_price) .. " " ..
         document.currency .. " [" .. line.subscription .. "]"
end

local function invoice_line(line, document, money, settings)
  local row = product(line.product, settings)
  local category = given(row["account_category."])
  local account = category and given(category.account_revenue) or
                  reject("product '" .. line.product .. "' has no revenue account in Tryton: give its accounting category one")
  local unit = row["default_uom."]
  local quantity, price = quantity_and_price(line, unit.digits, money, settings)
  return {type = "line", product = row.id, account = account, quantity = quantity, unit = unit.id,
          unit_price = decimal_of(price), description = line_text(line, document)}
end

-- Tryton's credit is an invoice of negative lines, so an adjustment that falls is one too.
local function invoice_text(document)
  local period, adjusts = document.period, document.adjusts
  local text = "Usage from " .. period.local_from .. " until " .. period.local_until .. " " .. period.time_zone
  if not adjusts then return text end
  return "Adjustment " .. tostring(adjusts.number) .. " of " .. (given(adjusts.document) or "an unbilled period") .. ". " .. text
end

local function invoice(document, settings)
  local code = document.currency
  local money = the("currency/" .. code, "currency.currency", {array{"code", "=", code}}, {"code", "digits"}, settings,
                    "no currency '" .. code .. "' in Tryton", "several currencies '" .. code .. "' in Tryton")
  local customer = party(document.account, settings)
  local place = address(customer, settings)
  local receivables = {array{"type.receivable", "=", true}, array{"company", "=", company(settings)}}
  local lines = array{}
  for _, line in ipairs(document.lines) do table.insert(lines, invoice_line(line, document, money, settings)) end
  return {
    company = company(settings), type = "out", party = customer.id, invoice_address = place.id, currency = money.id,
    account = chosen("receivable_account", "account.account", receivables, "name", settings, "receivable account").id,
    journal = chosen("journal", "account.journal", {array{"type", "=", "revenue"}}, "code", settings, "revenue journal").id,
    payment_term = given(customer.customer_payment_term) or
                   chosen("payment_term", "account.invoice.payment_term", {}, "name", settings, "payment term").id,
    external_id = document.external_id,
    reference = document.contract .. " " .. document.period.local_from,
    description = invoice_text(document),
    lines = array{array{"create", lines}},
  }
end

local function confirm_invoice(document, row)
  local amount = decimal(row.untaxed_amount.decimal)
  local differences = difference("external id", document.external_id, row.external_id)
                      .. difference("amount", decimal(document.untaxed_total), amount)
                      .. difference("currency", document.currency, row["currency."].code)
                      .. difference("party", document.account.external, row["party."].code)
                      .. difference("lines", #document.lines, #row.lines)
  return {equal = differences == "", differences = differences, state = row.state,
          amount = tostring(amount) .. " " .. row["currency."].code}
end

-- ---- Maintenance order: a work, and a shipment of its spare parts

local CLOSED = decimal(1)       -- the progress of a status that ends a work
local PRIORITIES = {high = "1", normal = "2", low = "3"}

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
  return the("project", "project.work", {array{"type", "=", "project"}, array{"name", "=", name}}, {"name"}, settings,
             "no project '" .. name .. "' in Tryton: create it, or name maintenance_project in the connector's settings",
             "several projects '" .. name .. "' in Tryton")
end

local function places(settings)
  local name = settings.service_location or "Field service"
  local warehouse = chosen("warehouse", "stock.location", {array{"type", "=", "warehouse"}}, "code", settings, "warehouse",
                           {"storage_location"})
  local domain = {array{"type", "=", "storage"}, array{"name", "=", name}}
  local target = the("service_location", "stock.location", domain, {"name"}, settings,
                     "no location '" .. name .. "' in Tryton: create it, or name service_location in the connector's settings",
                     "several locations '" .. name .. "' in Tryton")
  return {from = warehouse.storage_location, to = target.id}
end

local function span(minutes)
  local n = tonumber(tostring(minutes))
  if n % 1440 == 0 then return n // 1440 .. " d" end
  if n % 60 == 0 then return n // 60 .. " h" end
  return n .. " min"
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
  local lines, stream = {log_text(evidence)}, nil
  for _, batch in ipairs(evidence.batches) do
    if batch.stream ~= stream then table.insert(lines, "stream " .. batch.stream .. ", batches") end
    stream = batch.stream
    lines[#lines] = lines[#lines] .. " " .. tostring(batch.number)
  end
  if not evidence.batches_more:is_zero() then table.insert(lines, "and " .. tostring(evidence.batches_more) .. " older batches") end
  return table.concat(lines, "\n")
end

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
  local place, due = places(settings), moment("date", document.due_at)
  local moves = array{}
  for _, part in ipairs(document.parts) do
    local row = product(part.product, settings)
    local unit, quantity = row["default_uom."], decimal(part.quantity):trimmed()
    if unit.digits < decimal(quantity:places()) or not fits_float(quantity) then
      reject("the unit of product '" .. part.product .. "' in Tryton cannot count " .. tostring(quantity))
    end
    table.insert(moves, {company = company(settings), product = row.id, uom = unit.id, quantity = quantity,
                         from_location = place.from, to_location = place.to})
  end
  return {
    company = company(settings), from_location = place.from, to_location = place.to,
    external_id = document.id .. ":parts",
    reference = document.asset.name .. " " .. document.rule,
    planned_start_date = due, planned_date = due,
    moves = array{array{"create", moves}},
  }
end

local function order(document, settings)
  local values = {
    company = company(settings), type = "task", parent = project(settings).id,
    name = document.asset.name .. ": " .. document.description,
    external_id = document.id, external_revision = document.revision,
    asset = asset(document, settings).id,
    site = document.asset.site,
    priority = PRIORITIES[document.priority],
    due_at = moment("datetime", document.due_at),
    effort_duration = {__class__ = "timedelta", seconds = document.effort_minutes * 60},
    readings = readings_text(document),
  }
  if document.account ~= null then
    local customer = party(document.account, settings)
    values.party, values.party_address = customer.id, address(customer, settings).id
  end
  if #document.parts > 0 then values.parts = array{array{"create", array{shipment(document, settings)}}} end
  return values
end

local function confirm_order(document, row)
  local lot, shipments = given(row["asset."]), row["parts."]
  local differences = difference("asset", document.asset.external, lot and lot.number or "none")
  -- Later the parts belong to the warehouse.
  if document.revision == decimal(1) then
    differences = differences .. difference("parts", #document.parts, shipments[1] and #shipments[1].moves or 0)
  end
  return compared(document, row, differences, row["status."].name, row["status."].progress == CLOSED)
end

local function progress_of_order(row)
  local progress, booked = progress_of(row, row["status."].progress == CLOSED), given(row.timesheet_duration)
  progress.effort_minutes = tonumber(tostring((booked and booked.seconds or decimal(0)):rounded(0))) // 60
  return progress
end

-- ---- Account update: a note on the party, for customer success

local function meter_text(meter)
  local text = meter.meter .. ": " .. with_unit(meter.quantity, meter.unit)
  if given(meter.share) then text = text .. ", " .. percent(meter.share) .. " of " .. plain(meter.included) .. " included" end
  for _, limit in ipairs(meter.limits_crossed) do text = text .. ", past " .. percent(limit) end
  if given(meter.days_to_limit) then text = text .. ", next limit in " .. tostring(meter.days_to_limit) .. " days" end
  local trend = given(meter.trend)
  if trend then text = text .. (decimal(0) < decimal(trend) and ", +" or ", ") .. percent(trend) .. " against the period before" end
  return text .. " [" .. meter.subscription .. "]"
end

-- What was consumed against what is included: the meter that is furthest.
local function consumption_text(meters)
  local most
  for _, meter in ipairs(meters) do
    if given(meter.share) and (not most or decimal(most.share) < decimal(meter.share)) then most = meter end
  end
  if most then return most.meter .. " at " .. percent(most.share) .. " of what is included" end
  return meters[1] and meters[1].meter .. " " .. with_unit(meters[1].quantity, meters[1].unit) or "no usage"
end

local function feature_text(feature)
  return feature.name .. ": " .. tostring(feature.active) .. " of " .. tostring(feature.known) .. " active" ..
         (given(feature.adoption) and " (" .. percent(feature.adoption) .. ")" or "")
end

local function signal_text(signal) return signal.kind .. ": " .. signal.because end
local function health_text(part)
  return part.name .. " " .. tostring(part.score) .. " (weight " .. tostring(part.weight) .. "): " .. part.because
end

local function update_text(document)
  local period, health, streams = document.period, given(document.health), document.evidence.streams
  local readings = decimal(0)
  for _, stream in ipairs(streams) do readings = readings + stream.readings end
  local lines = {
    document.account.legal_name .. ": " .. consumption_text(document.meters) .. ", " .. document.contract .. " from " ..
    date_or_time(period.local_from) .. " until " .. date_or_time(period.local_until),
    (document.reason == "limit" and "A limit was crossed" or "The period is closed") .. ", as of " ..
    short_time(document.as_of) .. " UTC"}
  local function section(title, items, text_of)
    if #items > 0 then table.insert(lines, "\n" .. title) end
    for _, item in ipairs(items) do table.insert(lines, "- " .. text_of(item)) end
  end
  section("Consumption", document.meters, meter_text)
  section("Features", document.features, feature_text)
  section("Signals", document.signals, signal_text)
  if health then section("Health: " .. tostring(health.score) .. " of 100", health.parts, health_text) end
  table.insert(lines, "\n" .. rule_text(document) .. "\n" .. log_text(document.evidence) .. ", " .. tostring(readings) ..
                      " readings in " .. #streams .. " streams")
  return table.concat(lines, "\n")
end

local function note(document, settings)
  return {external_id = document.id, external_revision = document.revision, message = update_text(document),
          resource = "party.party," .. tostring(party(document.account, settings).id)}
end

-- ---- Opportunity: a sale opportunity that begins as a lead. From there on it belongs to people, its amount too.

local OURS = {lead = true, opportunity = true}
local REASONS = {renewal = "comes up for renewal", overage = "uses more than it includes"}

local function usage_text(document)
  local amount = given(document.amount)
  local lines = {"Contract " .. document.contract .. " of " .. document.account.legal_name .. " " .. REASONS[document.reason] ..
                 (amount and ": " .. amount .. " " .. document.currency .. " per period on average" or ""), ""}
  for _, line in ipairs(document.lines) do
    table.insert(lines, "- " .. line.meter .. ": " .. with_unit(line.quantity, line.unit) .. ", included " ..
                        plain(line.included) .. ", periods " .. tostring(line.periods) .. " [" .. line.subscription .. "]")
  end
  return table.concat(lines, "\n") .. "\n\n" .. rule_text(document) .. "\n" .. log_text(document.evidence)
end

-- Tryton has no other currency for an opportunity than the company's.
local function amount_of(document, settings)
  local row = the("company", "company.company", {array{"id", "=", company(settings)}}, {"currency.code", "currency.digits"},
                  settings, "no such company in Tryton: mend company in the connector's settings", "")
  local money = row["currency."]
  if money.code ~= document.currency then
    reject("the amount is in " .. document.currency .. ", and Tryton keeps opportunities in " .. money.code ..
           ": give the contract a connector of its own")
  end
  return given(document.amount) and decimal_of(decimal(document.amount):rounded(money.digits)) or null
end

local function opportunity(document, settings)
  local customer = party(document.account, settings)
  return {
    company = company(settings), party = customer.id, address = address(customer, settings).id,
    external_id = document.id, external_revision = document.revision,
    reference = document.contract, description = document.description, usage = usage_text(document),
    amount = amount_of(document, settings),
    start_date = moment("date", document.opened_at), end_date = moment("date", document.due_at),
  }
end

local function confirm_opportunity(document, row)
  local theirs, amount = given(row["party."]), given(row.amount)
  local differences = difference("party", document.account.external, theirs and theirs.code or "none")
  if document.revision == decimal(1) and row.state == "lead" and given(document.amount) then
    local ours = decimal(document.amount):rounded(row.currency_digits)
    differences = differences .. difference("amount", ours, amount and decimal(amount.decimal) or "none")
  end
  if not row.state then differences = differences .. difference("state", "lead", "none") end
  return compared(document, row, differences, row.state, not OURS[row.state])
end

-- ---- By kind. Where `id` is "id", all revisions of a document are one record.

local KINDS = {
  ["billing-summary"] = {
    model = "account.invoice", id = "external_id", values = invoice, confirm = confirm_invoice,
    fields = {"external_id", "state", "number", "party.code", "currency.code", "untaxed_amount", "lines"},
  },
  ["maintenance-order"] = {
    model = "project.work", id = "id", values = order, confirm = confirm_order, progress = progress_of_order,
    text = "readings", text_of = readings_text,
    fields = {"external_id", "external_revision", "status.name", "status.progress", "asset.number", "parts.moves", "closed_at",
              "closed_by.name", "timesheet_duration"},
  },
  ["account-update"] = {
    model = "ir.note", id = "id", values = note, text = "message", text_of = update_text,
    confirm = function(document, row)
      return compared(document, row, difference("party", document.account.external, row["resource."].code), "note", false)
    end,
    fields = {"external_id", "external_revision", "resource.code"},
  },
  ["opportunity"] = {
    model = "sale.opportunity", id = "id", values = opportunity, confirm = confirm_opportunity, text = "usage",
    text_of = usage_text, progress = function(row) return progress_of(row, given(row.closed_at) ~= nil) end,
    fields = {"external_id", "external_revision", "state", "party.code", "amount", "currency_digits", "closed_at",
              "closed_by.name"},
  },
}

KINDS.adjustment = KINDS["billing-summary"]

local function rows_with_id(kind, document, settings)
  return search(kind.model, {array{"external_id", "=", document[kind.id]}}, kind.fields, settings)
end

local function find(kind, document, settings)
  local rows = rows_with_id(kind, document, settings)
  return rows[1] and {reference = tostring(rows[1].id)}
end

-- The record that carries our id; nil and why where it is not the one we know.
local function row_of(kind, document, reference, settings)
  local rows = rows_with_id(kind, document, settings)
  if #rows == 1 and tostring(rows[1].id) == reference then return rows[1] end
  return nil, "not exactly one record of " .. kind.model .. " carries our id, or it is another than " .. reference
end

local function create(kind, document, settings)
  fresh, served_from_cache = {}, false
  local values = {array{kind.values(document, settings)}, context(settings)}
  local created, failure = rpc("model." .. kind.model .. ".create", values, true)
  if not failure then return {reference = tostring(created[1])} end
  -- A refusal has no code, so the question is not what it says but whether our id is there.
  local found = find(kind, document, settings)
  if found then return found end
  if served_from_cache then
    cache = {}
    retry(1, "refused with remembered master data: " .. failure)
  end
  reject("Tryton refuses the document: " .. failure)
end

local function confirm(kind, document, reference, settings)
  local row, why = row_of(kind, document, reference, settings)
  return row and kind.confirm(document, row) or {equal = false, differences = why}
end

-- A later revision brings its number and its text.
local function update(kind, document, reference, settings)
  local values = {external_revision = document.revision, [kind.text] = kind.text_of(document)}
  local _, failure = rpc("model." .. kind.model .. ".write", {array{decimal(reference)}, values, context(settings)}, true)
  if not failure then return end
  local row = row_of(kind, document, reference, settings)
  if row and kind.confirm(document, row).equal then return end  -- people have settled it meanwhile
  reject("Tryton refuses revision " .. tostring(document.revision) .. ": " .. failure)
end

local function progress(kind, document, reference, settings)
  local row, why = row_of(kind, document, reference, settings)
  return kind.progress(row or reject(why))
end

local function by_kind(operation, name, needs)
  return function(document, ...)
    local kind = KINDS[document.kind]
    if not kind or needs and not kind[needs] then
      reject("this profile has no " .. name .. " for documents of kind " .. tostring(document.kind))
    end
    return operation(kind, document, ...)
  end
end

return {
  name = "tryton",
  capabilities = {
    unique_ref = true,           -- our module makes external_id unique
    commit_lag_ms = 6000,        -- a create may wait 5 s for another writer (SQLite) after its client has gone
    requests_per_second = 50,
  },
  login = login,
  find = by_kind(find, "find"),
  create = by_kind(create, "create"),
  confirm = by_kind(confirm, "confirm"),
  update = by_kind(update, "update", "text"),
  progress = by_kind(progress, "progress", "progress"),
}
