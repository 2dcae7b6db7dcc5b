"""The alert log: keeps what Alertmanager sends, and serves it as metrics and a history.

`access` says who may ask and post, `notification` reads what is posted, `store` keeps it in a `database` before it is
acknowledged, `earlier` reads what earlier versions kept, `metrics` and `page` show it, `server` is the HTTP side.
"""
