-- One queue of messages that are delivered at least once, as core/queue/delivery.py has it.
--
-- KEYS[1]  sorted set: ids of live messages by the microsecond they are due
-- KEYS[2]  hash: id to record, of live messages and dead letters (stores/job_record.py)
-- KEYS[3]  sorted set: ids of dead letters by the microsecond they died
-- KEYS[4]  the number of the last message
-- ARGV[1]  what to do; ARGV[2]  now in seconds since 1970 (empty: this server's clock); the rest as each says

local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end

local HEAD = '<ddI4I2I2'
local function micro(seconds) return string.format('%.0f', math.floor(seconds * 1000000)) end
local function read(id)
  local data = redis.call('HGET', KEYS[2], id)
  if not data then return nil end
  local sent, due, attempts, receipt, reason, at = struct.unpack(HEAD, data)
  return {sent = sent, attempts = attempts, receipt = data:sub(at, at + receipt - 1), body = data:sub(at + receipt + reason)}
end
local function write(id, message, due, receipt, reason)
  local head = struct.pack(HEAD, message.sent, due, message.attempts, #receipt, #reason)
  local data = head .. receipt .. reason .. message.body
  redis.call('HSET', KEYS[2], id, data)
  return data
end

local act = {}

-- ARGV: most, delay, bodies. Returns the ids, or nothing for a queue that would be too full.
function act.send()
  local held = redis.call('ZCARD', KEYS[1]) + redis.call('ZCARD', KEYS[3])
  if held + #ARGV - 4 > tonumber(ARGV[3]) then return false end
  local due, ids = now + tonumber(ARGV[4]), {}
  for at = 5, #ARGV do
    local id = string.format('%016x', redis.call('INCR', KEYS[4]))
    write(id, {sent = now, attempts = 0, body = ARGV[at]}, due, '', '')
    redis.call('ZADD', KEYS[1], micro(due), id)
    ids[#ids + 1] = id
  end
  return ids
end

-- ARGV: most, visibility, patience, receipt. Returns the seconds until the next look ('' for never), then ids and records.
function act.lease()
  local most, visibility, patience = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
  local first = redis.call('ZRANGE', KEYS[1], 0, most - 1, 'WITHSCORES')
  if #first == 0 then return {''} end
  local earliest = tonumber(first[2]) / 1000000
  if earliest > now then return {string.format('%.6f', earliest - now)} end
  local ready = 0
  for at = 2, #first, 2 do
    if tonumber(first[at]) / 1000000 <= now then ready = ready + 1 end
  end
  local held = earliest + patience - now
  if ready < most and held > 0 then return {string.format('%.6f', held)} end
  local reply = {'0'}
  for at = 1, ready do
    local id = first[2 * at - 1]
    local message = read(id)
    message.attempts = message.attempts + 1
    reply[#reply + 1] = id
    reply[#reply + 1] = write(id, message, now + visibility, ARGV[6] .. at, '')
    redis.call('ZADD', KEYS[1], micro(now + visibility), id)
  end
  return reply
end

-- ARGV: id, receipt, action, delay, reason, for each message. Returns how many.
function act.settle()
  local settled = 0
  for at = 3, #ARGV, 5 do
    local id, action = ARGV[at], ARGV[at + 2]
    local message = redis.call('ZSCORE', KEYS[1], id) and read(id)
    if message and message.receipt == ARGV[at + 1] then
      settled = settled + 1
      if action == 'retry' then
        local due = now + tonumber(ARGV[at + 3])
        write(id, message, due, '', '')
        redis.call('ZADD', KEYS[1], micro(due), id)
      else
        redis.call('ZREM', KEYS[1], id)
        if action == 'dead' then
          write(id, message, now, '', ARGV[at + 4])
          redis.call('ZADD', KEYS[3], micro(now), id)
        else
          redis.call('HDEL', KEYS[2], id)
        end
      end
    end
  end
  return settled
end

-- Returns ready, waiting and dead.
function act.counts()
  local ready = redis.call('ZCOUNT', KEYS[1], '-inf', micro(now))
  return {ready, redis.call('ZCARD', KEYS[1]) - ready, redis.call('ZCARD', KEYS[3])}
end

-- ARGV: live|dead, limit. Returns ids and records.
function act.peek()
  local reply = {}
  for _, id in ipairs(redis.call('ZRANGE', ARGV[3] == 'dead' and KEYS[3] or KEYS[1], 0, tonumber(ARGV[4]) - 1)) do
    reply[#reply + 1] = id
    reply[#reply + 1] = redis.call('HGET', KEYS[2], id)
  end
  return reply
end

-- ARGV: limit. Returns how many.
function act.redrive()
  local ids = redis.call('ZRANGE', KEYS[3], 0, tonumber(ARGV[3]) - 1)
  for _, id in ipairs(ids) do
    local message = read(id)
    message.attempts = 0
    write(id, message, now, '', '')
    redis.call('ZREM', KEYS[3], id)
    redis.call('ZADD', KEYS[1], micro(now), id)
  end
  return #ids
end

-- ARGV: live|dead, limit. Returns how many; to be called again while there are as many.
function act.purge()
  local set = ARGV[3] == 'dead' and KEYS[3] or KEYS[1]
  local ids = redis.call('ZRANGE', set, 0, tonumber(ARGV[4]) - 1)
  for _, id in ipairs(ids) do
    redis.call('ZREM', set, id)
    redis.call('HDEL', KEYS[2], id)
  end
  return #ids
end

return act[ARGV[1]]()
