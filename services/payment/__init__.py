"""The payment agent: system of record for money, the only one that moves it."""
