-- ARGV: update id, fence, suspect_after, then the upper bounds of the histogram of ages, in milliseconds
-- Returns 1, or 0 when the claim was lost.
local id, fence, suspect_after = unpack(ARGV)
if not owned(id, fence) then return 0 end
local at, absorbed = unpack(redis.call('HMGET', key('update', id), 'at', 'absorbed'))
local lane = release(id)
local ids = {id}
for other in string.gmatch(absorbed or '', '%d+') do ids[#ids + 1] = other end
for _, each in ipairs(ids) do
  leave(each, true)
  redis.call('DEL', key('update', each))
  count('done')
end
local bucket = 'inf'
for position = #ARGV, 4, -1 do
  if now - at <= tonumber(ARGV[position]) then bucket = ARGV[position] end
end
count('age_ms:' .. bucket)
redis.call('HINCRBY', key('figures'), 'age_ms:sum', math.floor(now - at))
open(lane, now, suspect_after)
return 1
