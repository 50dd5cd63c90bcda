-- ARGV: update id, fence, milliseconds, what is counted (attempts: it was given back unused; failures; or ''),
-- suspect_after
local id, fence, wait, counted, suspect_after = unpack(ARGV)
if not owned(id, fence) then return 0 end
if counted == 'failures' then redis.call('HINCRBY', key('update', id), 'failures', 1) end
if counted == 'attempts' then redis.call('HINCRBY', key('update', id), 'attempts', -1) end
count(counted == 'attempts' and 'given_back' or 'later')
open(release(id), now + wait, suspect_after)
return 1
