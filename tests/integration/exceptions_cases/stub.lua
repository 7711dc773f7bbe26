-- The ERP stub of tests/integration/exceptions, which keeps documents by our id:
--   GET d/ID -> 200 {total} or 404;  POST d {id, account, total} -> 201 or 422 {error}

local function stored(id)
  local reply = call{path = "d/" .. url_encode(id)}
  if reply.status == decimal(404) then return nil end
  return reply.json
end

return {
  name = "stub",
  capabilities = {unique_ref = false, commit_lag_ms = 100, requests_per_second = 100},
  find = function(document)
    if stored(document.external_id) then return {reference = document.external_id} end
  end,
  create = function(document)
    local body = {id = document.external_id, account = document.account.external, total = document.untaxed_total}
    local reply = call{path = "d", json = body, effect = true}
    if reply.status ~= decimal(201) then reject(reply.json.error) end
    return {reference = document.external_id}
  end,
  confirm = function(document, reference)
    local total = stored(reference).total
    if total == document.untaxed_total then return {equal = true, state = "draft", amount = total} end
    return {equal = false, differences = "total " .. total .. " instead of " .. document.untaxed_total}
  end,
}
