"""Make a release: what is published, from a commit that is fit for it.

`make release-prepare VERSION=1.2.0` writes the version and today's date where they stand; commit that. `make release
VERSION=1.2.0` then refuses what is not fit, builds everything from a clone of the commit, and sets the tag last, so
that what failed leaves none. Nothing is published: the last lines say how.
"""
