-- The exact sliding window of core/limit/window.py, on the server: the same state, the same decisions, bit for bit.
--
-- KEYS[1]  the count
-- ARGV     take|give, limit, period in seconds, cost, now (seconds since 1970; empty: this server's clock)
-- returns  take: allowed uint8, remaining uint32, retry_after double, reset_after double; give: nothing

local BUCKETS, KEPT, HEAD = 60, 61, 12
local key = KEYS[1]
local limit, period, cost = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local now = tonumber(ARGV[5])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end

local function whole(x)
  if x < 0 then return math.ceil(x) end
  return math.floor(x)
end

local width = 2
if limit > 65535 then width = 4 end
local code = 'I' .. width
local one, all = '<' .. code, '<' .. string.rep(code, KEPT)

-- The state in this width (the limit may have been changed), or nil when it is not a window's.
local function converted(state)
  if not state or #state == HEAD + KEPT * width then return state or nil end
  local other = 6 - width
  if #state ~= HEAD + KEPT * other then return nil end
  local newest = struct.unpack('<i8', state)
  local counts = {struct.unpack('<' .. string.rep('I' .. other, KEPT), state, HEAD + 1)}
  local largest, total = 256 ^ width - 1, 0
  for place = 1, KEPT do
    counts[place] = math.min(counts[place], largest)
    total = total + counts[place]
  end
  return struct.pack('<i8I4', newest, total) .. struct.pack(all, unpack(counts, 1, KEPT))
end

local function store(state, reset)
  redis.call('SET', key, state, 'PX', math.max(1, math.ceil(reset * 1000)))
end

local function answer(allowed, remaining, retry, reset)
  return struct.pack('<BI4dd', allowed, remaining, retry, reset)
end

-- Seconds until the bucket has begun. A double holds today's wall time to 0.24 us: the sum may come out just short of it.
local function till(bucket)
  local wait = bucket * period / BUCKETS - now
  if whole((now + wait) * BUCKETS / period) >= bucket then return wait end
  return wait + 1e-6
end

local index = whole(now * BUCKETS / period)
local state = converted(redis.call('GET', key))

if ARGV[1] == 'give' then
  if not state then return end
  local newest, total = struct.unpack('<i8I4', state)
  local at = math.min(index - newest + BUCKETS, BUCKETS)
  if at < 0 or total == 0 then return end
  local counts = {struct.unpack(all, state, HEAD + 1)}
  local left = cost
  local function take_from(place)
    local back = math.min(counts[place + 1], left)
    counts[place + 1] = counts[place + 1] - back
    left = left - back
  end
  for place = at, KEPT - 1 do take_from(place) end
  for place = at - 1, 0, -1 do take_from(place) end
  local new = struct.pack('<i8I4', newest, total - cost + left) .. struct.pack(all, unpack(counts, 1, KEPT))
  redis.call('SET', key, new, 'KEEPTTL')
  return
end

local function fresh()
  local reset = (index + KEPT) * period / BUCKETS - now
  store(struct.pack('<i8I4', index, cost) .. string.rep('\0', (KEPT - 1) * width) .. struct.pack(one, cost), reset)
  return answer(1, limit - cost, 0, reset)
end

if not state then return fresh() end
local newest, total = struct.unpack('<i8I4', state)
local gone = index - newest
if gone >= KEPT then return fresh() end
if gone > 0 then
  local counts = {struct.unpack('<' .. string.rep(code, gone), state, HEAD + 1)}
  for place = 1, gone do total = total - counts[place] end
elseif gone < 0 then
  if gone >= -KEPT then
    index = newest
  else -- a corrected clock: the counts keep their distances and age from now on
    state = struct.pack('<i8I4', index, total) .. string.sub(state, HEAD + 1)
  end
  gone = 0
end

local left = limit - total - cost
if left < 0 then
  -- It waits for as many of the oldest buckets to leave as make room for the cost.
  local counts = {struct.unpack('<' .. string.rep(code, KEPT - gone), state, HEAD + 1 + gone * width)}
  local oldest = index - BUCKETS
  total = 0
  for place = 1, KEPT - gone do total = total + counts[place] end
  local over = total + cost - limit
  local seen, due, last = 0, 0, 0
  for place = 0, KEPT - gone - 1 do
    local count = counts[place + 1]
    if count > 0 then
      if seen < over then due = place end
      seen = seen + count
      last = place
    end
  end
  local wait = till(oldest + due + KEPT)
  local reset = math.max(wait, till(oldest + last + KEPT))
  if index < newest then store(state, reset) end
  return answer(0, math.max(0, limit - total), wait, reset)
end

local counts
if gone > 0 then
  counts = string.sub(state, HEAD + 1 + gone * width) .. string.rep('\0', (gone - 1) * width) .. struct.pack(one, cost)
else
  local place = #state - width
  counts = string.sub(state, HEAD + 1, place) .. struct.pack(one, (struct.unpack(one, state, place + 1)) + cost)
end
local reset = (index + KEPT) * period / BUCKETS - now
store(struct.pack('<i8I4', index, total + cost) .. counts, reset)
return answer(1, left, 0, reset)
