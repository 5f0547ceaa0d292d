-- GCRA as in core/limit/gcra.py, on the server: the same state, the same decisions, bit for bit.
--
-- KEYS[1]  the count
-- ARGV     take|give, limit, period in seconds, cost, now (seconds since 1970; empty: this server's clock), burst
-- returns  take: allowed uint8, remaining uint32, retry_after double, reset_after double; give: nothing

local key = KEYS[1]
local limit, period, cost, burst = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[6])
local now = tonumber(ARGV[5])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end

-- Times are kept in units of the emission interval, where adding a cost is exact.
local interval = period / limit
local at = now / interval

local state = redis.call('GET', key)
local stored
if state and #state == 8 then stored = struct.unpack('<d', state) end
-- No take sets it later than a burst from its now: one that lies a whole period beyond was set by a clock put back since.
local tat = at
if stored then
  if stored - at > burst + limit then tat = at + burst else tat = math.max(stored, at) end
end

if ARGV[1] == 'give' then
  if tat > at then redis.call('SET', key, struct.pack('<d', math.max(at, tat - cost)), 'KEEPTTL') end
  return
end

local function store(tat, reset)
  redis.call('SET', key, struct.pack('<d', tat), 'PX', math.max(1, math.ceil(reset * 1000)))
end

local due = tat + cost
local early = due - burst - at
if early > 0 then
  local wait = early * interval
  -- A double holds today's wall time to 0.24 us: the sum may come out just short of the moment it is meant to reach.
  if (now + wait) / interval < due - burst then wait = wait + 1e-6 end
  local reset = (tat - at) * interval
  if state and tat ~= stored then store(tat, reset) end
  return struct.pack('<BI4dd', 0, math.max(0, math.floor(at + burst - tat)), wait, reset)
end
local reset = (due - at) * interval
store(due, reset)
return struct.pack('<BI4dd', 1, math.floor(at + burst - due), 0, reset)
