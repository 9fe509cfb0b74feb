#!/bin/sh
# The first start of a grain: one repository, with one account that may do all.
set -eu
repository=/var/repository.fossil
rm -f "$repository"
fossil new --admin-user admin "$repository"
# The first password; the admin changes it under "Admin", "Users".
fossil user password admin tea-for-two --repository "$repository"
