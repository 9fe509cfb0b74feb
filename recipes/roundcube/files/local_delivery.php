<?php
// Gives a message that is sent to Dovecot's delivery agent, once per mailbox of this grain.
class local_delivery extends rcube_plugin
{
    public function init()
    {
        $this->add_hook('message_before_send', [$this, 'deliver']);
    }

    public function deliver($args)
    {
        $headers = $args['message']->headers();
        $to = array_merge((array) $args['mailto'], [$headers['Cc'] ?? '', $headers['Bcc'] ?? '']);
        $to = rcube_mime::decode_address_list(implode(', ', array_filter($to)), null, false, null, true);
        $text = $args['message']->txtHeaders(['Bcc' => null], true) . "\r\n" . $args['message']->get();
        $args['abort'] = true;
        $args['result'] = true;
        foreach (array_unique($to) as $address) {
            [$user, $host] = explode('@', $address . '@');
            if ($host !== 'grain.example' || !$this->give($user, $args['from'], $text)) {
                $args['result'] = false;
                $args['error'] = "No mailbox of this grain: $address";
            }
        }
        return $args;
    }

    private function give($user, $from, $text)
    {
        $command = ['/usr/lib/dovecot/dovecot-lda', '-c', '/app/dovecot.conf', '-d', $user, '-f', $from];
        $process = proc_open($command, [['pipe', 'r']], $pipes);
        fwrite($pipes[0], $text);
        fclose($pipes[0]);
        return proc_close($process) === 0;
    }
}
