-- The edge: the place of a request's user on the ring, once, before the route is chosen.
--
--   x-sluicegate-bucket: <mark>-<0000 to 9999>     where the number is xxh64(salt .. ":" .. user) mod 10000
--
-- `salt` and `mark` come from the filter context of the model's policy. The mark names the salt: a route matches buckets of its own
-- salt alone, so that policy and route need not change in the same instant; until they agree everybody is the champion's.
-- What a client sends under this name is dropped first. No user id, several, or a proxy that cannot compute: no bucket, the champion.
-- Plain Lua 5.1 as far as a controller that tries it out without LuaJIT can see.

local NAME = "x-sluicegate-bucket"
local ready, ffi = pcall(require, "ffi")

local function ring()
  local rol, xor, shr = bit.rol, bit.bxor, bit.rshift
  local function u64(high, low) return ffi.new("uint64_t", high) * 4294967296 + low end
  local P1, P2, P3 = u64(0x9E3779B1, 0x85EBCA87), u64(0xC2B2AE3D, 0x27D4EB4F), u64(0x165667B1, 0x9E3779F9)
  local P4, P5 = u64(0x85EBCA77, 0xC2B2AE63), u64(0x27D4EB2F, 0x165667C5)
  local wide, narrow = ffi.new("uint64_t[1]"), ffi.new("uint32_t[1]")

  local function word(text, at, size, into)
    ffi.copy(into, text:sub(at, at + size - 1), size)
    return ffi.cast("uint64_t", into[0])
  end
  local function round(sum, lane) return rol(sum + lane * P2, 31) * P1 end
  local function merge(hash, sum) return xor(hash, round(u64(0, 0), sum)) * P1 + P4 end

  local function stripes(text)
    local a, b, c, d = P1 + P2, P2, u64(0, 0), u64(0, 0) - P1
    local at = 1
    while #text - at >= 31 do
      a, b = round(a, word(text, at, 8, wide)), round(b, word(text, at + 8, 8, wide))
      c, d = round(c, word(text, at + 16, 8, wide)), round(d, word(text, at + 24, 8, wide))
      at = at + 32
    end
    local hash = rol(a, 1) + rol(b, 7) + rol(c, 12) + rol(d, 18)
    return merge(merge(merge(merge(hash, a), b), c), d), at
  end

  return function(text)
    local hash, at = P5, 1
    if #text >= 32 then hash, at = stripes(text) end
    hash = hash + #text
    while #text - at >= 7 do
      hash, at = rol(xor(hash, round(u64(0, 0), word(text, at, 8, wide))), 27) * P1 + P4, at + 8
    end
    if #text - at >= 3 then
      hash, at = rol(xor(hash, word(text, at, 4, narrow) * P1), 23) * P2 + P3, at + 4
    end
    for i = at, #text do hash = rol(xor(hash, text:byte(i) * P5), 11) * P1 end
    hash = xor(hash, shr(hash, 33)) * P2
    hash = xor(hash, shr(hash, 29)) * P3
    return tonumber(xor(hash, shr(hash, 32)) % 10000)
  end
end

local position = ready and ring()

function envoy_on_request(handle)
  local headers, context = handle:headers(), handle:filterContext()
  headers:remove(NAME)
  local user, mark, salt = headers:get("x-user-id"), context:get("mark"), context:get("salt")
  if position and mark and user and user ~= "" and headers:getNumValues("x-user-id") == 1 then
    headers:add(NAME, string.format("%s-%04d", mark, position(salt .. ":" .. user)))
  end
end
