# The application: where it comes from, what runs when nothing else was released, how many processes a server runs.
app:
  repository: http://git.saltlick.internal/app.git
  revision: main
  instances: 2
