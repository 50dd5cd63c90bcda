-- ARGV: update id, lane, user or '', body, seconds to remember the id, seconds that dead letters are kept, suspect_after
-- Returns 1, or 0 when the update was here before.
local id, lane, user, body, remember, keep, suspect_after = unpack(ARGV)
if not redis.call('SET', key('seen', id), 1, 'NX', 'EX', remember) then
  count('duplicates')
  return 0
end
redis.call('HSET', key('update', id), 'lane', lane, 'user', user, 'body', body, 'at', now,
  'attempts', 0, 'deaths', 0, 'failures', 0)
redis.call('ZADD', key('lane', lane), id, id)
redis.call('ZADD', key('all'), now, id)
if user ~= '' then
  redis.call('SADD', key('of', user), id)
  redis.call('EXPIRE', key('of', user), keep)
end
count('received')
if redis.call('HEXISTS', key('busy'), lane) == 0
  and not redis.call('ZSCORE', key('ready'), lane) and not redis.call('ZSCORE', key('suspects'), lane) then
  open(lane, now, suspect_after)
end
return 1
