"""The routes of the HTTP door: module-level functions, one file a resource."""
