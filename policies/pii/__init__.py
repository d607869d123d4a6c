"""People's data and secrets in text: found, hidden and, where asked for, brought back."""
