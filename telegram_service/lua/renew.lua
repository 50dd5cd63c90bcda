-- ARGV: update id, fence, lease in milliseconds
local id, fence, lease = unpack(ARGV)
if not owned(id, fence) then return 0 end
redis.call('ZADD', key('leases'), now + lease, id)
return 1
