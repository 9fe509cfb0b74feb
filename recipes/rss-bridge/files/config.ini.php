; <?php exit; ?> DO NOT REMOVE THIS LINE

[admin]
donations = false

[error]
output = "http"
