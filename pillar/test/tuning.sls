# postgresql.conf of test, by name.
postgresql: {shared_buffers: 128MB, max_connections: 60}
