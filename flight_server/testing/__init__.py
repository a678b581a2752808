"""The testing room: what proves that an engine is one, shipped with the product.

An in-memory engine, a conformance suite that every engine subclasses, cases of every Arrow type,
and a state machine with an oracle of plain dicts. No product module imports it, and nothing here
shares code with the lake engine: two implementations that agree have to agree by the contract.
"""
