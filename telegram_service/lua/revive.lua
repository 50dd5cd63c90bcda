-- ARGV: update id, suspect_after
local id, suspect_after = unpack(ARGV)
if redis.call('EXISTS', key('dead', id)) == 0 then return 0 end
redis.call('RENAME', key('dead', id), key('update', id))
redis.call('PERSIST', key('update', id))
redis.call('HDEL', key('update', id), 'reason', 'died')
redis.call('HSET', key('update', id), 'at', now, 'attempts', 0, 'deaths', 0, 'failures', 0)
redis.call('ZREM', key('dead'), id)
local lane = redis.call('HGET', key('update', id), 'lane')
redis.call('ZADD', key('lane', lane), id, id)
redis.call('ZADD', key('all'), now, id)
if redis.call('HEXISTS', key('busy'), lane) == 0 then open(lane, now, suspect_after) end
return 1
