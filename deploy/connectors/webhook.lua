-- Any system that takes webhooks: each document goes out as its own bytes, signed and timestamped as Standard Webhooks says
-- (https://www.standardwebhooks.com). webhook-id and Idempotency-Key are our id; each revision of a document has its own. The
-- secret, "whsec_" and base64, is the connector's password_file. The guide for profiles is README.md beside this file.
--
-- What a receiver must do: check the signature; keep what came under a webhook-id; answer the same id and body again with 2xx and
-- do nothing, the same id with another body with 409. Whoever cannot do that gets documents twice after a lost reply.
-- What it may do: answer the POST with {"sha256": hexadecimal digest of the body it keeps}, and the GET of documents it keeps,
-- signed as the POST is over an empty body: 404 where it has none of that id, else {"id": our id, "sha256": ..., "state": a word}.
-- For a maintenance order the answer may also say "closed", "closed_at", "by" and "effort_minutes".
--
-- settings: path        below the url, for the POST; default: the url itself, which ends with '/'
--           documents   below the url: our id is appended for the GET, "documents/"; default: nothing can be looked up

local KINDS = {["billing-summary"] = true, adjustment = true, ["maintenance-order"] = true, ["account-update"] = true,
               opportunity = true}

-- The answer to the newest POST. Where nothing can be looked up it is all there is to compare.
local answered = {}

local function text_or_nil(value)
  if value ~= nil and value ~= null then return tostring(value) end
end

-- The answer's JSON object; empty where it is none.
local function object(reply)
  return type(reply.json) == "table" and reply.json or {}
end

local function in_words(reply)
  local text = text_or_nil(object(reply).error) or reply.text or ""
  return "HTTP " .. tostring(reply.status) .. (text == "" and "" or ": " .. text:sub(1, 200))
end

local function is_success(reply)
  return decimal(200) <= reply.status and reply.status < decimal(300)
end

-- Statuses that say something of the connector, not of the document, and that nothing was done.
local CONNECTOR = {
  ["401"] = "the receiver refuses our signature: mend password_file, or its clock",
  ["403"] = "the receiver refuses us: mend password_file, or its rights",
  ["404"] = "there is no receiver: mend url or path",
  ["405"] = "there is no receiver: mend url or path",
  ["408"] = "the receiver waited too long",
  ["410"] = "the receiver wants no more webhooks: mend url, or remove the connector",
}

local function stop_for_connector(reply)
  local why = CONNECTOR[tostring(reply.status)]
  if not why and reply.status < decimal(400) then why = "this is not an answer of a receiver: mend url or path" end
  if why then retry(60, why .. " (" .. in_words(reply) .. ")") end
end

-- What the receiver keeps under our id; nil where it keeps nothing.
local function kept(document, settings)
  local reply = call{path = settings.documents .. url_encode(document.external_id), sign = document.external_id}
  if reply.status == decimal(404) then return nil end
  if not is_success(reply) then
    stop_for_connector(reply)
    error("the receiver does not let us look up " .. document.external_id .. " (" .. in_words(reply) .. ")", 0)
  end
  local answer = object(reply)
  if text_or_nil(answer.id) ~= document.external_id or not text_or_nil(answer.sha256) then
    error("the receiver's answer about " .. document.external_id .. " needs id and sha256: mend the receiver", 0)
  end
  return answer
end

local function find(document, settings)
  answered = {}
  if settings.documents and kept(document, settings) then return {reference = document.external_id} end
end

local function create(document, settings)
  if not KINDS[document.kind] then reject("this profile has no documents of kind " .. tostring(document.kind)) end
  local reply = call{
    method = "POST",
    path = settings.path or "",
    headers = {["Content-Type"] = "application/json", ["Idempotency-Key"] = document.external_id},
    body = document.body,
    sign = document.external_id,
    effect = true,
  }
  if not is_success(reply) then
    stop_for_connector(reply)
    if settings.documents and kept(document, settings) then return {reference = document.external_id} end
    reject("the receiver refuses the document (" .. in_words(reply) .. ")")
  end
  answered = object(reply)
  return {reference = document.external_id}
end

local function confirm(document, reference, settings)
  local answer = answered
  if settings.documents then
    answer = kept(document, settings)
    if not answer then return {equal = false, differences = "the receiver took " .. reference .. " and does not keep it"} end
  end
  local ours, theirs = sha256(document.body), text_or_nil(answer.sha256)
  local equal = not theirs or theirs:lower() == ours
  return {equal = equal, differences = equal and "" or "sha256 of the body " .. theirs .. " instead of " .. ours,
          state = text_or_nil(answer.state) or "accepted"}
end

local function progress(document, reference, settings)
  if not settings.documents then return {closed = false} end
  local answer = kept(document, settings)
  if not answer then reject("the receiver does not keep " .. reference .. " any more") end
  return {
    closed = answer.closed == true,
    closed_at = text_or_nil(answer.closed_at),
    by = text_or_nil(answer.by),
    effort_minutes = answer.effort_minutes,
  }
end

return {
  name = "webhook",
  capabilities = {
    signature = "standard-webhooks",
    unique_ref = true,           -- a receiver knows a webhook-id again
    commit_lag_ms = 5000,        -- it may work on a request that long after we gave up
    requests_per_second = 50,
  },
  find = find,
  create = create,
  confirm = confirm,
  progress = progress,
}
