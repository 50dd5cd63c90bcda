-- ARGV: update id, fence, reason, seconds that dead letters are kept, suspect_after
local id, fence, reason, keep, suspect_after = unpack(ARGV)
if not owned(id, fence) then return 0 end
local lane = redis.call('HGET', key('update', id), 'lane')
bury(id, reason, keep)
open(lane, now, suspect_after)
return 1
