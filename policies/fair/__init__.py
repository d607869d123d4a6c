"""Fair sharing of models between tenants: what may be in flight, and whose turn is next."""
