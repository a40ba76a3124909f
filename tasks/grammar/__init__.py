"""What a target may be, token by token: generation that is valid by construction."""
