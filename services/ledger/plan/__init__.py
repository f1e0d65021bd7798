"""The pure core: what an event may do (`rules`) and what it changes (`changes`)."""
