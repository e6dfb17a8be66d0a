# postgresql.conf of prod, by name: a t3.small has 2 GiB.
postgresql: {shared_buffers: 512MB, effective_cache_size: 1GB, work_mem: 8MB, max_connections: 100}
