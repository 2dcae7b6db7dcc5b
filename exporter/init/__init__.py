"""`ml-monitoring init`: a file of settings for a beginning, from questions or flags."""
