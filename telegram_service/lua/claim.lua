-- ARGV: worker, lease in milliseconds, suspect_after, dead_after, seconds that dead letters are kept
-- Returns {id, lane, body, attempts, fence, deaths, failures, age in milliseconds}, or nothing.
local worker, lease, suspect_after, dead_after, keep = unpack(ARGV)

-- What dead workers held comes back. Whatever killed one more worker than it may is buried here.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('leases'), '-inf', now, 'LIMIT', 0, 200)) do
  local deaths = redis.call('HINCRBY', key('update', id), 'deaths', 1)
  local lane = release(id)
  count('reclaimed')
  if deaths > tonumber(dead_after) then bury(id, 'killed its workers', keep) end
  if lane then open(lane, now, suspect_after) end
end

local function hand_out(lane)
  redis.call('ZREM', key('ready'), lane)
  redis.call('ZREM', key('suspects'), lane)
  local id = first(lane)
  if not id then return false end
  local update, fence = key('update', id), redis.call('INCR', key('fence'))
  redis.call('HSET', update, 'fence', fence, 'worker', worker)
  redis.call('HDEL', update, 'absorbed')
  local attempts = redis.call('HINCRBY', update, 'attempts', 1)
  redis.call('ZADD', key('leases'), now + lease, id)
  redis.call('HSET', key('busy'), lane, id)
  redis.call('SADD', key('held', worker), id)
  local body, deaths, failures, at = unpack(redis.call('HMGET', update, 'body', 'deaths', 'failures', 'at'))
  return {id, lane, body, attempts, fence, tonumber(deaths), tonumber(failures), now - at}
end

-- A suspect is handed out alone: one worker finishes what it has, takes the suspect, and nothing beside it. The others
-- go on meanwhile.
local alone = redis.call('GET', key('alone'))
local suspect = redis.call('ZRANGEBYSCORE', key('suspects'), '-inf', now, 'LIMIT', 0, 1)[1]
if alone == worker or (suspect and not alone) then
  local free = redis.call('SCARD', key('held', worker)) == 0
  if free and not suspect then
    redis.call('DEL', key('alone'))
  else
    redis.call('SET', key('alone'), worker, 'PX', lease)
    return free and hand_out(suspect)
  end
end
local lane = redis.call('ZRANGEBYSCORE', key('ready'), '-inf', now, 'LIMIT', 0, 1)[1]
return lane and hand_out(lane)
