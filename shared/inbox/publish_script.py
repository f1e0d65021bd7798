"""What one caller, and one partition, may bring: judged where events are appended, by the queue.

The script below does everything in one round trip for all who publish together: each *share*, what
one request brings, is judged and appended by itself. A refused share leaves nothing behind, and
says nothing about the fate of what it holds: it may have been published before.

**Per caller and partition** (429): events a second, and a burst, counted by GCRA (the leaky bucket
of ITU-T I.371): one number, the moment at which what the caller brought would be through at that
pace, by the queue's own clock. It expires when it is past. **Per partition** (503): messages that
wait to be recorded.

A share is taken whole if there is room for one event. So a batch larger than the burst can be
posted; its caller then pauses the longer. A limit of 0 is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import TooManyRequests, Unavailable

FULL, FULL_SECONDS = -1, 5
PUBLISH = """
local window, pace, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local room = most > 0 and most - redis.call('XLEN', KEYS[1]) or math.huge
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local told, at = {0}, 5
while at <= #ARGV do
  local key, last, wait = KEYS[tonumber(ARGV[at])], at + 1 + ARGV[at + 1], 0
  if room <= 0 then wait = -1
  elseif pace > 0 then
    local due = math.max(tonumber(redis.call('GET', key) or 0), now)
    local over = due + pace - now - window
    if over > 0 then wait = math.ceil(over / 1000)
    else
      due = due + (last - at - 1) * pace
      local ends = math.ceil((due - now) / 1000)
      redis.call('SET', key, string.format('%.0f', due), 'PX', string.format('%.0f', ends))
    end
  end
  if wait == 0 then
    for i = at + 2, last do redis.call('XADD', KEYS[1], '*', 'e', ARGV[i]) end
    room = room - (last - at - 1)
  end
  told[#told + 1], at = wait, last + 1
end
told[1] = redis.call('SET', KEYS[2], '1', 'NX', 'EX', ARGV[1]) and 1 or 0
return told
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """Events a second and burst of one caller in one partition; messages that may wait there."""

    per_second: int = 0
    burst: int = 0
    messages: int = 0

    def arguments(self, shares: Sequence[tuple[str, list[bytes]]]) -> tuple[list[str], list[bytes]]:
        """Further keys and arguments of the script, for shares of (caller's key, sealed events)."""
        pace = 1e6 / self.per_second if self.per_second else 0.0
        keys = list(dict.fromkeys(key for key, _ in shares)) if pace else []
        place = {key: b"%d" % number for number, key in enumerate(keys, start=3)}
        limits = (self.burst * pace, pace, self.messages)
        told = [f"{each:.3f}".encode() for each in limits]
        for key, sealed in shares:
            told += (place.get(key, b"1"), b"%d" % len(sealed), *sealed)
        return keys, told


def raise_if_limited(wait: int) -> None:
    """Raise what the script said of a share: TooFast, after that many milliseconds, or Unavailable.

    Neither says anything about what was posted before.
    """
    if wait == FULL:
        raise Unavailable("Too many events wait to be recorded.", retry_after=FULL_SECONDS)
    if wait > 0:
        raise TooManyRequests("This caller posts faster than it may.", retry_after=-(-wait // 1000))
