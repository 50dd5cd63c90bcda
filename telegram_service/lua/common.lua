-- Begins every script of the mailbox. KEYS[1] is the prefix of all keys: they are made here, so one Redis, no cluster.
-- Commands of Redis 6.0 only. Times are Redis' own, in milliseconds: the clocks of the machines need not agree. When its
-- clock is set back, `now` goes on as if it were not, or what is due would wait until the clock is there again.
--
--   update:ID  hash: lane, user, body, at, attempts, deaths, failures, fence and worker while claimed, absorbed
--   lane:LANE  sorted set of what waits or is worked on, by update id: Telegram may deliver out of order
--   ready, suspects  sorted sets of lanes that nobody works on, by the time from which they may be handed out
--   busy       hash: lane -> the update that is worked on       leases  sorted set: update -> when its lease ends
--   held:WORKER  set of updates                                 alone   the worker that takes suspects, and nothing else
--   all        sorted set of updates by arrival                 of:USER set of updates, dead ones included
--   dead:ID    hash, expires                                    dead    sorted set of them by the time of death
--   seen:ID    expires    fence  counter    wake  list that workers wait at    figures  hash of counters
--   clock      hash: seen, Redis' time a second ago or less; ahead, how far `now` is ahead of it

local prefix = KEYS[1]

local function key(...)
  return table.concat({prefix, ...}, ':')
end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local seen, ahead = unpack(redis.call('HMGET', key('clock'), 'seen', 'ahead'))
seen, ahead = tonumber(seen or 0), tonumber(ahead or 0)
if now < seen - 1000 then ahead = ahead + seen - now end
if math.abs(now - seen) > 1000 then redis.call('HSET', key('clock'), 'seen', now, 'ahead', ahead) end
now = now + ahead

local function count(name)
  redis.call('HINCRBY', key('figures'), name, 1)
end

-- Somebody waits for work, perhaps: tell one. The list is short, since a worker that wakes takes all there is.
local function wake()
  redis.call('LPUSH', key('wake'), 1)
  redis.call('LTRIM', key('wake'), 0, 31)
end

local function first(lane)
  return redis.call('ZRANGE', key('lane', lane), 0, 0)[1]
end

-- Let the lane be handed out from `at` on. One whose first update died often goes to the suspects.
local function open(lane, at, suspect_after)
  redis.call('ZREM', key('ready'), lane)
  redis.call('ZREM', key('suspects'), lane)
  local id = first(lane)
  if not id then return end
  local deaths = tonumber(redis.call('HGET', key('update', id), 'deaths') or 0)
  redis.call('ZADD', key(deaths >= tonumber(suspect_after) and 'suspects' or 'ready'), at, lane)
  if at <= now then wake() end
end

-- Nobody works on the update any more.
local function release(id)
  local lane, worker = unpack(redis.call('HMGET', key('update', id), 'lane', 'worker'))
  redis.call('ZREM', key('leases'), id)
  if worker then redis.call('SREM', key('held', worker), id) end
  if lane and redis.call('HGET', key('busy'), lane) == id then redis.call('HDEL', key('busy'), lane) end
  redis.call('HDEL', key('update', id), 'fence', 'worker')
  return lane
end

-- Only whoever has the fence may say what becomes of an update.
local function owned(id, fence)
  return redis.call('HGET', key('update', id), 'fence') == fence
end

-- Out of the queue; `forget` also what points to the update from its person.
local function leave(id, forget)
  local lane, user = unpack(redis.call('HMGET', key('update', id), 'lane', 'user'))
  if lane then redis.call('ZREM', key('lane', lane), id) end
  redis.call('ZREM', key('all'), id)
  if forget and user and user ~= '' then redis.call('SREM', key('of', user), id) end
end

-- To the dead letters, for `keep` seconds.
local function bury(id, reason, keep)
  release(id)
  leave(id, false)
  redis.call('HDEL', key('update', id), 'absorbed')
  redis.call('RENAME', key('update', id), key('dead', id))
  redis.call('HSET', key('dead', id), 'reason', reason, 'died', now)
  redis.call('EXPIRE', key('dead', id), keep)
  redis.call('ZADD', key('dead'), now, id)
  redis.call('ZREMRANGEBYSCORE', key('dead'), '-inf', now - keep * 1000)
  count('buried')
end
