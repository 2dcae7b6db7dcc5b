"""Pages and panels of a user's own, in the folder that the setting `extensions` names."""
