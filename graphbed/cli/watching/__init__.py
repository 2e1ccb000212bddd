"""What `graphbed watch` shows: buckets, trainers, events; drawn from the lock server's answers alone."""
