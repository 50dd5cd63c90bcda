-- ARGV: update id, fence, then the ids of updates that wait behind it in its lane and are to end with it
local id, fence = ARGV[1], ARGV[2]
if not owned(id, fence) then return 0 end
local lane, ids = redis.call('HGET', key('update', id), 'lane'), {}
for position = 3, #ARGV do
  local other = ARGV[position]
  if other ~= id and redis.call('ZSCORE', key('lane', lane), other) then ids[#ids + 1] = other end
end
redis.call('HSET', key('update', id), 'absorbed', table.concat(ids, ' '))
return 1
