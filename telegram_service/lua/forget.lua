-- ARGV: user, an update id to leave alone or '', suspect_after
-- Removes what waits, is worked on or lies among the dead letters of a person. Returns how many updates.
local user, except, suspect_after = unpack(ARGV)
local gone = 0
for _, id in ipairs(redis.call('SMEMBERS', key('of', user))) do
  if id ~= except then
    local lane = release(id)
    leave(id, true)
    gone = gone + redis.call('DEL', key('update', id), key('dead', id))
    redis.call('ZREM', key('dead'), id)
    redis.call('SREM', key('of', user), id)
    if lane and redis.call('HEXISTS', key('busy'), lane) == 0 then open(lane, now, suspect_after) end
  end
end
return gone
