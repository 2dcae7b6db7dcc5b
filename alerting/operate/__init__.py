"""Tools for people on call: explain, route, test-fire, backtest, maintenance."""
