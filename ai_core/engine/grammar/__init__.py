"""Answers that must follow a grammar: GBNF (llama.cpp's notation) or a JSON schema, checked byte by byte.

Nothing here knows a model. llama.cpp has a grammar engine of its own, but for what a client may send it is not safe:
it keeps every way to read a text on a stack of its own, so that forty bytes of ambiguous grammar stop the process for
ever, and it aborts the process on rules that are nested deeply or empty in the wrong place. This one shares what the
ways have in common (an Earley recogniser), has limits everywhere, and tells the reason of a refusal.
"""
