-- Kontor, a small ERP. A billing summary becomes a parked voucher, a maintenance order a job that its later revisions amend.
-- Kontor counts in cents, writes decimals with a comma and dates as DD.MM.YYYY, and limits its texts in bytes.
local MEMO_BYTES, LINE_BYTES, TITLE_BYTES, TEXT_BYTES = 120, 250, 80, 4000
local PRIORITY = {high = 1, normal = 5, low = 9}

-- What a person can mend. Every other refusal is a fault of this profile or of the system.
local MENDABLE = {
  NO_CUSTOMER = "create the customer in Kontor or correct the account's external number",
  NO_ASSET = "create the asset in Kontor or correct the asset's external number",
  NO_SKU = "create the article in Kontor or correct the part's product",
  BAD_FIELD = "correct what the document was made from",
}

local function given(value) return value ~= nil and value ~= null and value ~= "" end
-- A field that Kontor promises; without it nothing can be said, least of all "equal".
local function must(record, field)
  if type(record) ~= "table" or record[field] == nil or record[field] == null then error("the reply has no '" .. field .. "'") end
  return record[field]
end

local function number_of(record)
  local no = tostring(must(record, "no"))
  return no:match("^%d+$") or error("Kontor's 'no' is not a number: " .. no)
end

-- At most so many bytes, without half a character at the end.
local function cut(text, bytes)
  if #text <= bytes then return text end
  while bytes > 0 and text:byte(bytes + 1) & 0xC0 == 0x80 do bytes = bytes - 1 end
  return text:sub(1, bytes)
end

local function from_comma(text) return decimal((text:gsub(",", "."))) end
local function whole(number) return math.tointeger(tonumber(tostring(number))) end
local function compare(differences, what, there, ours)
  if there ~= ours then table.insert(differences, what .. " is " .. tostring(there) .. " instead of " .. tostring(ours)) end
end

-- REQUESTS
-- Code and message of a refusal. Without them the answer is not Kontor's (but a proxy's, say) and does not mean "not done".
local function refusal(reply)
  local problem = must(reply.json, "error")
  return must(problem, "code"), tostring(problem.message)
end

local function refuse(reply)
  local code, message = refusal(reply)
  if MENDABLE[code] then reject("Kontor: " .. code .. ", " .. message .. ": " .. MENDABLE[code]) end
  error("Kontor refused: " .. tostring(reply.status) .. " " .. code .. ", " .. message)
end
local function is(reply, status) return reply.status == decimal(status) end
local function get(path)
  local reply = call{path = path}
  return is(reply, 200) and reply.json or refuse(reply)
end

local function login(settings)
  local reply = call{method = "POST", path = "session", json = {user = settings.user, pass = settings.password}}
  if is(reply, 200) then return {["X-Kontor-Token"] = must(reply.json, "token")} end
  if refusal(reply) == "BAD_LOGIN" then reject("Kontor does not know the connector's user or password: correct them") end
  refuse(reply)
end

-- VOUCHERS
-- The memo begins with our id in brackets, so that neither doc-10 nor a person's "see [doc-1]" passes for doc-1.
local function mark(document) return "[" .. document.external_id .. "]" end
local function begin(memo, document) return memo:sub(1, #mark(document)) end
local function memo_of(document)
  return cut(mark(document) .. " " .. document.contract .. " from " .. document.period.local_from:sub(1, 10), MEMO_BYTES)
end
local function cents(amount)
  local exact = decimal(amount) * 100
  return exact:rounded(0) == exact and exact:rounded(0) or reject("Kontor keeps whole cents, and not the amount " .. amount)
end

-- The quantity must survive, so it is the description that is cut.
local function line_text(line)
  local quantity = ": " .. line.quantity .. " " .. line.meter .. ", " .. line.billable_quantity .. " at " .. line.unit_price
  return cut(line.description, LINE_BYTES - #quantity) .. quantity
end

local function customer_id(document)
  local number = document.account.external
  if not given(number) then reject("the account has no external number: give it Kontor's customer number") end
  return must(must(get("customers?number=" .. url_encode(number)), "customer"), "id")
end

-- The search is by "contains", in any case, over everybody's vouchers, two a page: all pages are read.
local function find_voucher(document)
  local page, found = 0, nil
  repeat
    page = page + 1
    found = get("vouchers?memo=" .. url_encode(mark(document)) .. "&page=" .. page)
    for _, voucher in ipairs(must(found, "vouchers")) do
      if begin(must(voucher, "memo"), document) == mark(document) then return {reference = number_of(voucher)} end
    end
  until not must(found, "more")
end

local function create_voucher(document)
  local lines = array{}
  for i, line in ipairs(document.lines) do lines[i] = {text = line_text(line), net_cents = cents(line.amount)} end
  local voucher = {customer_id = customer_id(document), currency = document.currency, memo = memo_of(document), lines = lines}
  local reply = call{method = "POST", path = "vouchers", json = voucher, effect = true}
  if not is(reply, 202) then refuse(reply) end
  return {reference = number_of(must(reply.json, "voucher"))}
end

local function as_answer(differences, equal, outdated)
  return #differences == 0 and equal or {equal = false, outdated = outdated, differences = table.concat(differences, "; ")}
end

-- Texts are not compared: a bookkeeper may put them better.
local function confirm_voucher(document, reference)
  local voucher = must(get("vouchers/" .. reference), "voucher")
  local differences, total = {}, decimal(0)
  compare(differences, "customer", must(voucher, "customer_id"), customer_id(document))
  compare(differences, "currency", must(voucher, "currency"), document.currency)
  compare(differences, "id at the memo's begin", begin(must(voucher, "memo"), document), mark(document))
  compare(differences, "number of lines", #must(voucher, "lines"), #document.lines)
  for i, line in ipairs(voucher.lines) do
    total = total + must(line, "net_cents")
    if document.lines[i] then compare(differences, "cents of line " .. i, line.net_cents, cents(document.lines[i].amount)) end
  end
  compare(differences, "total in cents", total, cents(document.untaxed_total))
  local amount = tostring((total * decimal("0.01")):rounded(2)) .. " " .. voucher.currency
  return as_answer(differences, {equal = true, state = must(voucher, "status"), amount = amount})
end

-- Kontor names no state but "parked"; whatever comes after it is a bookkeeper's doing.
local function progress_voucher(_, reference)
  return {closed = must(must(get("vouchers/" .. reference), "voucher"), "status") ~= "parked"}
end

-- JOBS
-- The revision stands in the text, since that can be changed, and first, so that it is never cut off.
local function head(document) return "Order " .. document.id .. ", revision " end
local function revision_in(text, document)
  return text:sub(1, #head(document)) == head(document) and whole(text:match("^%d+", #head(document) + 1)) or nil
end
local function condition_text(condition)
  local found = given(condition.found) and condition.found or "nothing"
  return ("- %s %s %s %s: found %s"):format(condition.meter, condition.value, condition.side, condition.limit, found)
end

-- A rule need not have a description.
local function what(document) return document.rule .. (given(document.description) and ": " .. document.description or "") end
local function job_text(document)
  local asset, account = document.asset, document.account
  local lines = {head(document) .. tostring(document.revision), what(document),
                 "Asset " .. asset.name .. (given(asset.site) and ", " .. asset.site or ""),
                 "For " .. (given(account) and account.name or "ourselves"), "Because of:"}
  for _, condition in ipairs(document.conditions) do table.insert(lines, condition_text(condition)) end
  return cut(table.concat(lines, "\n"), TEXT_BYTES)
end

-- What a later revision may change. Kontor keeps a day and no zone: it is the day in UTC.
local function amendable(document)
  local due = document.due_at:gsub("^(%d+)-(%d+)-(%d+)T.*$", "%3.%2.%1")
  local prio = PRIORITY[document.priority] or reject("Kontor has no priority for '" .. tostring(document.priority) .. "'")
  return {title = cut(what(document), TITLE_BYTES), text = job_text(document), prio = prio, due = due}
end

local function job_of(document)
  local job = amendable(document)
  if not given(document.asset.external) then reject("the asset has no external number: give it Kontor's asset tag") end
  job.ref, job.asset_tag, job.material = document.id, document.asset.external, array{}
  for i, part in ipairs(document.parts) do job.material[i] = {sku = part.product, qty = (part.quantity:gsub("%.", ","))} end
  return job
end

-- In one order and one spelling, so that "2" and "2,000" are equal.
local function material_text(material)
  local parts = {}
  for i, item in ipairs(material) do parts[i] = tostring(from_comma(must(item, "qty")):trimmed()) .. " x " .. must(item, "sku") end
  table.sort(parts)
  return table.concat(parts, ", ")
end

-- The one job of all revisions, or nil.
local function read_job(document)
  local job = must(get("jobs?ref=" .. url_encode(document.id)), "jobs")[1]
  if job and must(job, "ref") ~= document.id then error("Kontor answered with another job") end
  return job
end
local function find_job(document)
  local job = read_job(document)
  return job and {reference = number_of(job)}
end

local function create_job(document)
  local reply = call{method = "POST", path = "jobs", json = job_of(document), effect = true}
  if is(reply, 201) then return {reference = number_of(must(reply.json, "job"))} end
  if refusal(reply) == "DUP_REF" then return find_job(document) or error("Kontor has our reference and does not show it") end
  refuse(reply)
end

local function confirm_job(document, reference)
  local job = read_job(document)
  if not job then return {equal = false, differences = "no job has the reference " .. document.id} end
  local there, ours, differences = revision_in(must(job, "text"), document), whole(document.revision), {}
  if must(job, "state") == "done" or there and there > ours then return {equal = true, state = job.state} end
  local wanted = job_of(document)
  compare(differences, "number", number_of(job), reference)
  for _, field in ipairs{"asset_tag", "title", "due"} do compare(differences, field, must(job, field), wanted[field]) end
  if job.text ~= wanted.text then table.insert(differences, "text is another") end
  compare(differences, "prio", must(job, "prio"), decimal(wanted.prio))
  compare(differences, "material", material_text(must(job, "material")), material_text(wanted.material))
  return as_answer(differences, {equal = true, state = job.state}, there ~= nil and there < ours)
end

-- Repeatable, since it sends all that shall stand there. A job done in the meantime stays as it is, and confirm takes it for equal.
local function update_job(document, reference)
  local reply = call{method = "PATCH", path = "jobs/" .. reference, json = amendable(document), effect = true}
  if not is(reply, 200) and refusal(reply) ~= "JOB_DONE" then refuse(reply) end
end

local function progress_job(document)
  local job = read_job(document)
  if not job or must(job, "state") ~= "done" then return {closed = false} end
  local result = {closed = true, by = given(job.done_by) and job.done_by or nil}
  if given(job.done_at) then
    local time, read = job.done_at:gsub("^(%d%d)%.(%d%d)%.(%d%d%d%d) (%d%d:%d%d)$", "%3-%2-%1T%4:00Z")
    result.closed_at = read == 1 and time or error("Kontor's 'done_at' is not a time: " .. time)
  end
  if given(job.hours) then result.effort_minutes = whole((from_comma(job.hours) * 60):rounded(0)) end
  return result
end

-- THE PROFILE
local KINDS = {
  ["billing-summary"] = {find = find_voucher, create = create_voucher, confirm = confirm_voucher, progress = progress_voucher},
  ["maintenance-order"] = {find = find_job, create = create_job, confirm = confirm_job, update = update_job, progress = progress_job},
}

local function of_kind(step)
  return function(document, ...)
    local does = KINDS[document.kind] and KINDS[document.kind][step]
    if not does then reject("Kontor takes no document of the kind " .. tostring(document.kind)) end
    return does(document, ...)
  end
end

return {
  name = "kontor",
  -- A memo may be used twice, so vouchers are not unique, though jobs are. The search finds a voucher within 2 seconds.
  capabilities = {unique_ref = false, commit_lag_ms = 3000, requests_per_second = 15},
  login = login, find = of_kind("find"), create = of_kind("create"), confirm = of_kind("confirm"),
  update = of_kind("update"), progress = of_kind("progress"),
}
