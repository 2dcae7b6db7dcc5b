"""The alert log: keeps what Alertmanager tells, and answers for it with metrics and a history.

`notification` reads what is posted, `journal` puts it on disk before it is acknowledged, `store` makes a queryable
history of it, `metrics` and `page` show it, `server` is the HTTP side.
"""
