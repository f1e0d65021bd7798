"""Publish script: a Lua script that checks the limits, appends events, and sets the wake flag.

One call serves all concurrent publishes of a stream. A *share* is the events of one request: the
script checks and appends each share separately. A rejected share changes nothing. Its events may
still have been published before, by an earlier request.

**Per caller and partition** (429): a rate limit with a burst, by GCRA (the leaky bucket of ITU-T
I.371). Its state is one number, the time at which the caller's events would have arrived at the
permitted rate, by the queue's clock. It expires at that time. **Per partition** (503): the number
of messages that are not recorded yet.

A share is appended whole if there is room for one event. So a batch may exceed the burst; its
caller must then pause longer. A limit of 0 means no limit.
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
local replies, at = {0}, 5
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
  replies[#replies + 1], at = wait, last + 1
end
replies[1] = redis.call('SET', KEYS[2], '1', 'NX', 'EX', ARGV[1]) and 1 or 0
return replies
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """Events per second and burst of a caller in a partition; unrecorded messages in it."""

    per_second: int = 0
    burst: int = 0
    messages: int = 0

    def arguments(self, shares: Sequence[tuple[str, list[bytes]]]) -> tuple[list[str], list[bytes]]:
        """Return the script's further keys and arguments for shares of (rate key, events)."""
        pace = 1e6 / self.per_second if self.per_second else 0.0
        keys = list(dict.fromkeys(key for key, _ in shares)) if pace else []
        numbers = {key: b"%d" % number for number, key in enumerate(keys, start=3)}
        limits = (self.burst * pace, pace, self.messages)
        arguments = [f"{limit:.3f}".encode() for limit in limits]
        for key, encrypted in shares:
            arguments += (numbers.get(key, b"1"), b"%d" % len(encrypted), *encrypted)
        return keys, arguments


def raise_if_limited(wait: int) -> None:
    """Raise TooManyRequests or Unavailable if the script rejected a share.

    `wait` is the script's reply: FULL, or the milliseconds after which the caller may retry.
    """
    if wait == FULL:
        raise Unavailable("Too many events wait to be recorded.", retry_after=FULL_SECONDS)
    if wait > 0:
        raise TooManyRequests("This caller exceeds its rate limit.", retry_after=-(-wait // 1000))
