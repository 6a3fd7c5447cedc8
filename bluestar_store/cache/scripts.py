"""The Lua scripts: each changes one key only if it still is what the caller believes. One key each, so that they run
in a cluster, where no second one is given; sent as text, so that a server that lost its scripts is no special case.
With pcall, a key of another type, which somebody else put there, counts as one that holds nothing of ours.
"""

from __future__ import annotations

_KEPT = """
local function told(section, name)
  local info = redis.pcall('INFO', section)
  return type(info) == 'string' and string.match(info, name .. ':(%x+)') or ''
end
local function kept_since(key, now)
  local mark = told('stats', 'evicted_keys') .. ':' .. told('replication', 'master_replid')
  local content = redis.pcall('GET', key)
  if type(content) == 'string' then
    local kept, from = string.match(content, '^W(%x*:%x*) (%d+)$')
    if kept == mark then return tonumber(from), mark end
  end
  return now, mark
end
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
"""
"""Since when the server surely has lost nothing that it was told, in ms on its own clock: it was not flushed since, has
evicted no key, and has not taken over another server's data. The witness (see WITNESS) tells that.
"""

FILL = (
    _KEPT
    + """
if redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end
local lifetime = ARGV[3]
if KEYS[2] then
  local now = clock()
  if now - kept_since(KEYS[2], now) < tonumber(lifetime) then lifetime = ARGV[4] end
end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', lifetime) end
return tonumber(lifetime)
"""
)
"""Replace what begins with ARGV[1] by ARGV[2]; by nothing when ARGV[2] is empty. For how many ms it may live, or 0 when
it is refused: ARGV[3]; ARGV[4] when the server with the witness KEYS[2] has not kept all it was told for as long.

As a new lease it also takes over a lease whose holder is not heard of.
"""

_TOMBSTONES = """
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local content = redis.pcall('GET', KEYS[1])
local kept, last = {}, 0
if type(content) == 'string' and string.sub(content, 1, 1) == 'T' then
  for token, ends in string.gmatch(content, '(%x+):(%d+);') do
    if token ~= ARGV[1] and tonumber(ends) > now then
      kept[#kept + 1] = token .. ':' .. ends .. ';'
      last = math.max(last, tonumber(ends))
    end
  end
end
"""
"""The tombstones of other writers that still count, and when the last of them ends. TIME is the server's own."""

BLOCK = (
    _TOMBSTONES
    + """
local ends = now + tonumber(ARGV[2])
kept[#kept + 1] = ARGV[1] .. ':' .. string.format('%.0f', ends) .. ';'
redis.call('SET', KEYS[1], 'T' .. table.concat(kept), 'PX', string.format('%.0f', math.max(last, ends) - now))
return 1
"""
)
"""Put the tombstone of writer ARGV[1] there for ARGV[2] ms; those of others stay as long as they would have."""

RELEASE = (
    _TOMBSTONES
    + """
if #kept == 0 then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], 'T' .. table.concat(kept), 'PX', string.format('%.0f', last - now)) end
return 1
"""
)
"""Take the tombstone of writer ARGV[1] away: its write is done. A value or a lease that lies there goes too."""

FORGET = """
if redis.pcall('GETRANGE', KEYS[1], 0, 0) == 'T' then return 0 end
return redis.call('DEL', KEYS[1])
"""
"""Remove a value or a lease, and leave tombstones alone. 1: there was one."""

WITNESS = (
    _KEPT
    + """
local now = clock()
local since, mark = kept_since(KEYS[1], now)
redis.call('SET', KEYS[1], 'W' .. mark .. ' ' .. string.format('%.0f', since), 'PX', ARGV[1])
return now - since
"""
)
"""For how many ms the server surely has lost nothing that it was told. It also shows that it takes writes.

The key lives for ARGV[1] ms.
"""
