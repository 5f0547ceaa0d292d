"""The gateway as an ASGI application (asgi.readthedocs.io, HTTP and lifespan protocols), for those who have a server already."""
