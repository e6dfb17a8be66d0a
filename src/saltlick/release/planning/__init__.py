"""What happens before a release touches anything: what stands against it, and which servers go when."""
