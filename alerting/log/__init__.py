"""The alert log: keeps what Alertmanager sends, and serves it as metrics and a history.

`notification` reads what is posted, `journal` puts it on disk before it is acknowledged, `store` makes a queryable
history of it, `metrics` and `page` show it, `server` is the HTTP side.
"""
