"""`penstock tour`: what Penstock does, shown on the running demo in a minute and a half.

Each stop is a file with a `visit(site, guide)`: it does something real to the demo, and says in
plain words what came of it. Whatever a stop puts into the demo's folders it takes out again.
"""
