"""The ledger of `ledger.py` as a Lua script for Redis: one call answers a batch of asks.

A script runs alone, so that nobody comes between what it reads and what it writes. Time is the
server's, the same for all holders; the calendar's months come with the call, as Lua in Redis knows
none. All keys begin with the same tag and so lie in one slot of a cluster.

    KEYS: the set of holders, then a hash for each ask
    ARGV: JSON with `holder`, `months` (three starts of them, Unix) and `asks`, each a list of kind,
          size, rate, charge, need, want, held, reserved, grain, used, at_once
    returns: the number of holders, then for each ask granted, left, cap, reset, as decimal texts
             with spaces between

Both are one text, since to pack and parse every number for itself costs more than the script.
"""

from collections.abc import Sequence
from math import isfinite

import orjson

from policies.leases.periods import PERIOD_SECONDS
from policies.leases.terms import (
    ACTIVE_SECONDS,
    LEASE_PART,
    LEASE_SECONDS,
    OUT_SECONDS,
    ROUNDING,
    Answer,
    Ask,
    Grant,
)

# Seconds that a record is kept at most when nobody uses it, whatever a bucket takes to fill:
# the expiry of a Redis key has an end, and beyond it the key is deleted.
KEEP = 400 * 86_400.0
CLOCK = "local time = redis.call('TIME'); local now = time[1] + time[2] / 1000000"

_RULES = (
    f"""
local ACTIVE, OUT, LEASE, PART, ROUNDING, KEEP =
    {ACTIVE_SECONDS!r}, {OUT_SECONDS!r}, {LEASE_SECONDS!r}, {LEASE_PART!r}, {ROUNDING!r}, {KEEP!r}
local PERIOD = {{day = {PERIOD_SECONDS["day"]!r}, month = {PERIOD_SECONDS["month"]!r}}}
"""
    + """
local told = cjson.decode(ARGV[1])
local holder, mine = told.holder, 'h:' .. told.holder
local max, min, abs, floor = math.max, math.min, math.abs, math.floor

local function written(number)
    return string.format('%.17g', number)
end

local function period_end(kind)
    if kind == 'day' then
        return (floor(now / 86400) + 1) * 86400
    end
    local from = told.months[1]
    for i = 2, 3 do
        if now >= from then from = told.months[i] end
    end
    return from
end

-- What each holder wants, has leased and has reserved is kept as want|held|reserved|at. Returns the
-- record, what others want and have, and what those had leased who weren't heard of for some time.
local function read(key)
    local record, wants, out, lost = {}, 0, 0, 0
    local fields = redis.call('HGETALL', key)
    for i = 1, #fields, 2 do
        local name, value = fields[i], fields[i + 1]
        if string.sub(name, 1, 2) ~= 'h:' then
            record[name] = tonumber(value)
        else
            local want, held, reserved, at =
                string.match(value, '^([^|]+)|([^|]+)|([^|]+)|([^|]+)$')
            local silent = abs(now - tonumber(at))
            if silent > OUT then
                redis.call('HDEL', key, name)
                lost = lost + tonumber(held)
            elseif name ~= mine then
                out = out + tonumber(held) + tonumber(reserved)
                if silent <= ACTIVE then wants = wants + tonumber(want) end
            end
        end
    end
    return record, wants, out, lost
end

local function grant(left, cap, need, want, held, grain)
    if left + ROUNDING < grain then return 0 end
    local needed = min(need, max(0, left))
    if cap + ROUNDING < grain then return needed end
    return needed + max(0, min(want, cap, left - needed + held) - held)
end

redis.call('ZADD', KEYS[1], written(now), holder)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. written(now - ACTIVE))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. written(now + ACTIVE), '+inf')
redis.call('PEXPIRE', KEYS[1], 60000)
local answer = {written(redis.call('ZCARD', KEYS[1]))}

for i = 2, #KEYS do
    local key = KEYS[i]
    local kind, size, rate, charge, need, want, held, reserved, grain, used, at_once =
        unpack(told.asks[i - 1])
    local record, wants, out, lost = read(key)
    local share = want > 0 and want / (wants + want) or 0
    local has = held + reserved
    local free, cap, granted, spent, reset, keep, kept = 0, 0, 0, 0, 0, 0, {}
    if kind == 'rate' then
        local level, since = (record.level or size) - lost, record.at or now
        local room = size - level + (at_once and charge or 0)
        level = level + max(0, min(max(0, now - since) * rate, room))
        level = min(size, max(-size, level - charge))
        free = level - out - has
        cap = rate * LEASE * share
        granted = grant(free, cap, need, want, held, grain)
        if at_once then spent = min(granted, need) end
        keep = (size - free + granted) / rate
        kept = {'level', written(level - spent), 'at', written(now)}
    elseif kind == 'slots' then
        free = size - out - has
        cap = floor(size * share)
        granted = floor(grant(free, cap, need, want, held, grain))
    else
        local last, before = period_end(kind), (record.used or 0) + lost
        local known = record['end'] or last
        if last > known then
            before = 0
        elseif last >= known - PERIOD[kind] then
            last = known
        end
        before = max(0, before + charge, used)
        free = size - before - out - has
        cap = max(0, free) * PART * share
        granted = grant(free, cap, need, want, held, grain)
        reset = last - now
        keep = reset
        kept = {'used', written(before), 'end', written(last)}
    end
    has = held + granted - spent
    local said = {written(want), written(has), written(reserved), written(now)}
    redis.call('HSET', key, mine, table.concat(said, '|'), unpack(kept))
    redis.call('PEXPIRE', key, string.format('%d', (max(0, min(keep, KEEP)) + OUT) * 1000))
    local left = free - granted
    for _, number in ipairs({granted, left, cap, reset}) do
        answer[#answer + 1] = written(number)
    end
end
return table.concat(answer, ' ')
"""
)

_NUMBERS = 4  # of an answer


def script(clock: str = CLOCK) -> str:
    """The script; `clock` is Lua that sets `now` to Unix seconds."""
    return clock + _RULES


def arguments(
    prefix: str, holder: str, months: Sequence[int], asks: Sequence[Ask]
) -> list[str | bytes | int]:
    """What `EVAL` takes behind the script: the number of keys, keys and argument."""
    rows = [(*ask.terms, *ask[2:]) for ask in asks]
    told = orjson.dumps({"holder": holder, "months": months, "asks": rows})
    return [len(asks) + 1, f"{prefix}holders", *(f"{prefix}{ask.name}" for ask in asks), told]


def answer(reply: object, asked: int) -> Answer:
    """The script's reply to so many asks; ValueError for what can't be one.

    Whoever says that there is infinitely much, or no number, would end the limit.
    """
    if not isinstance(reply, bytes):
        raise ValueError("no text")
    numbers = [float(each) for each in reply.split()]
    if len(numbers) != 1 + asked * _NUMBERS or not all(map(isfinite, numbers)):
        raise ValueError("not the script's numbers")
    grants = tuple(Grant(*numbers[i : i + _NUMBERS]) for i in range(1, len(numbers), _NUMBERS))
    if numbers[0] < 0 or any(grant.granted < 0 for grant in grants):
        raise ValueError("less than nothing")
    return Answer(int(numbers[0]), grants)
